#include "symbolizer/jitdump.h"

#include "../support/elf_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOAD = 0, MOVE = 1, DEBUG_INFO = 2, CLOSE = 3 };

struct entry {
	uint64_t address;
	uint32_t line;
	const char *file;
};

static void put_header(struct bytes *to)
{
	put_u32(to, 0x4a695444);
	put_u32(to, 1);
	put_u32(to, 40);
	put_u32(to, EM_X86_64);
	put_u32(to, 0);
	put_u32(to, 1234);
	put_u64(to, 1);
	put_u64(to, 0);
}

static size_t begin(struct bytes *to, uint32_t id)
{
	const size_t start = to->n;
	put_u32(to, id);
	put_u32(to, 0);
	put_u64(to, 2);
	return start;
}

static void end(struct bytes *to, size_t start)
{
	patch_u32(to, start + 4, to->n - start);
}

static void put_load(struct bytes *to, const char *name, uint64_t address, uint64_t size,
		     uint64_t index)
{
	const size_t start = begin(to, LOAD);
	put_u32(to, 1234);
	put_u32(to, 1235);
	put_u64(to, address);
	put_u64(to, address);
	put_u64(to, size);
	put_u64(to, index);
	put_text(to, name);
	put_fill(to, 0x90, size);
	end(to, start);
}

static void put_move(struct bytes *to, uint64_t from, uint64_t there, uint64_t size, uint64_t index)
{
	const size_t start = begin(to, MOVE);
	put_u32(to, 1234);
	put_u32(to, 1235);
	put_u64(to, from);
	put_u64(to, from);
	put_u64(to, there);
	put_u64(to, size);
	put_u64(to, index);
	end(to, start);
}

static void put_lines(struct bytes *to, uint64_t address, const struct entry *entries, size_t n)
{
	const size_t start = begin(to, DEBUG_INFO);
	put_u64(to, address);
	put_u64(to, n);
	for (size_t i = 0; i < n; i++) {
		put_u64(to, entries[i].address);
		put_u32(to, entries[i].line);
		put_u32(to, 0);
		put_text(to, entries[i].file);
	}
	put_fill(to, 0, -to->n & 7);
	end(to, start);
}

static int read_bytes(struct jitdump *dump, const struct bytes *bytes, size_t n)
{
	char path[64];
	int fd = memfd_create("jitdump", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes->data, n), n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int rc = jitdump_read(dump, path, NULL);
	close(fd);
	return rc;
}

static void expect(const struct jitdump *dump, uint64_t address, const char *wanted)
{
	struct symbol_frame frame;
	char text[512] = "none";
	if (jitdump_find(dump, address, &frame))
		snprintf(text, sizeof(text), "%s %s:%u", frame.name, frame.file, frame.line);
	assert_string_equal(text, wanted);
}

static void test_jitdump__lines_come_before_their_code(void **state)
{
	static const struct entry entries[] = {
		{0x1020, 12, "/srv/a.js"}, {0x1000, 10, "/srv/a.js"}, {0x1030, 14, "\xff"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	put_lines(&bytes, 0x1000, entries, 3);
	put_load(&bytes, "f", 0x1000, 0x40, 1);
	put_load(&bytes, "bare", 0x2000, 0x40, 2);
	begin(&bytes, CLOSE);
	end(&bytes, bytes.n - 16);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0xfff, "none");
	expect(&dump, 0x1000, "f /srv/a.js:10");
	expect(&dump, 0x101f, "f /srv/a.js:10");
	expect(&dump, 0x1020, "f /srv/a.js:12");
	expect(&dump, 0x103f, "f /srv/a.js:14");
	expect(&dump, 0x1040, "none");
	expect(&dump, 0x2000, "bare :0");
	assert_int_equal(dump.malformed, 0);
	jitdump_deinit(&dump);
	free(bytes.data);
}

static void test_jitdump__what_was_loaded_last_holds(void **state)
{
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	put_load(&bytes, "old", 0x1000, 0x100, 1);
	put_load(&bytes, "new", 0x1040, 0x40, 2);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1000, "old :0");
	expect(&dump, 0x1040, "new :0");
	expect(&dump, 0x1080, "old :0");
	jitdump_deinit(&dump);
	free(bytes.data);
}

static void test_jitdump__moved_code_takes_its_lines_along(void **state)
{
	static const struct entry entries[] = {{0x1000, 1, "a"}, {0x1010, 2, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	put_lines(&bytes, 0x1000, entries, 2);
	put_load(&bytes, "f", 0x1000, 0x20, 7);
	put_move(&bytes, 0x1000, 0x5000, 0x20, 7);
	put_move(&bytes, 0x5000, 0x3000, 0x20, 7);
	put_move(&bytes, 0x9000, 0xa000, 0x20, 8); /* never loaded */
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x5010, "f a:2");
	expect(&dump, 0x300f, "f a:1");
	expect(&dump, 0x3010, "f a:2");
	expect(&dump, 0xa000, "none");
	assert_int_equal(dump.malformed, 1);
	jitdump_deinit(&dump);
	free(bytes.data);
}

/* As V8 writes them: addresses that count an ELF header. */
static void test_jitdump__lines_may_count_the_header_of_perfs_file(void **state)
{
	static const struct entry entries[] = {{0x1040, 1, "a"}, {0x1060, 2, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	put_lines(&bytes, 0x1000, entries, 2);
	put_load(&bytes, "f", 0x1000, 0x40, 1);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1000, "f a:1");
	expect(&dump, 0x101f, "f a:1");
	expect(&dump, 0x1020, "f a:2");
	jitdump_deinit(&dump);
	free(bytes.data);
}

/* As node 20 writes them: the length of each path is right, its bytes are anything. */
static void test_jitdump__paths_of_released_memory_are_mended(void **state)
{
	static const char path[] = "/srv/a b.js";
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	const size_t start = begin(&bytes, DEBUG_INFO);
	put_u64(&bytes, 0x1000);
	put_u64(&bytes, 2);
	for (uint32_t i = 0; i < 2; i++) {
		put_u64(&bytes, 0x1000 + 0x10 * i);
		put_u32(&bytes, 5 + i);
		put_u32(&bytes, 1);
		put(&bytes, "x\0\0\x88yz\0\1\2\3\4", sizeof(path) - 1);
		put_u8(&bytes, 0);
	}
	put_fill(&bytes, 0, -bytes.n & 7);
	end(&bytes, start);
	put_load(&bytes, "JS:*f /srv/a b.js:4:13", 0x1000, 0x40, 1);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1008, "JS:*f /srv/a b.js:4:13 /srv/a b.js:5");
	expect(&dump, 0x1018, "JS:*f /srv/a b.js:4:13 /srv/a b.js:6");
	jitdump_deinit(&dump);
	/* a name that says another path is no witness */
	bytes.n = bytes.n - 0x40 - sizeof("JS:*f /srv/a b.js:4:13") - 56;
	put_load(&bytes, "JS:*f /srv/other.js:4:13", 0x1000, 0x40, 1);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1008, "JS:*f /srv/other.js:4:13 :0");
	assert_int_equal(dump.malformed, 1);
	jitdump_deinit(&dump);
	free(bytes.data);
}

static void test_jitdump__a_file_that_is_still_written_ends_anywhere(void **state)
{
	static const struct entry entries[] = {{0x2000, 1, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	put_header(&bytes);
	put_load(&bytes, "whole", 0x1000, 0x10, 1);
	const size_t whole = bytes.n;
	put_lines(&bytes, 0x2000, entries, 1);
	put_load(&bytes, "cut", 0x2000, 0x10, 2);
	for (size_t n = 0; n <= bytes.n; n++) {
		int rc = read_bytes(&dump, &bytes, n);
		assert_int_equal(rc, n < 40 ? -EINVAL : 0);
		if (rc == 0) {
			expect(&dump, 0x1000, n < whole - 0x10 ? "none" : "whole :0");
			jitdump_deinit(&dump);
		}
	}
	free(bytes.data);
}

static void test_jitdump__other_files_are_refused(void **state)
{
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	struct cp_err err;
	(void)state;
	put_u32(&bytes, 0x4454694a); /* of the other byte order */
	put_fill(&bytes, 0, 60);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), -EINVAL);
	assert_int_equal(jitdump_read(&dump, "/nonexistent/jit-1.dump", &err), -ENOENT);
	free(bytes.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jitdump__lines_come_before_their_code),
		cmocka_unit_test(test_jitdump__what_was_loaded_last_holds),
		cmocka_unit_test(test_jitdump__moved_code_takes_its_lines_along),
		cmocka_unit_test(test_jitdump__lines_may_count_the_header_of_perfs_file),
		cmocka_unit_test(test_jitdump__paths_of_released_memory_are_mended),
		cmocka_unit_test(test_jitdump__a_file_that_is_still_written_ends_anywhere),
		cmocka_unit_test(test_jitdump__other_files_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
