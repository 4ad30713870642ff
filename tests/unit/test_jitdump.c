#include "symbolizer/jitdump.h"

#include "../support/jitdump_writer.h"

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
	static const struct jitdump_entry entries[] = {
		{0x1020, 12, "/srv/a.js"}, {0x1000, 10, "/srv/a.js"}, {0x1030, 14, "\xff"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	jitdump_put_header(&bytes);
	jitdump_put_lines(&bytes, 0x1000, entries, 3);
	jitdump_put_load(&bytes, "f", 0x1000, 0x40, 1);
	jitdump_put_load(&bytes, "bare", 0x2000, 0x40, 2);
	jitdump_begin(&bytes, JITDUMP_CLOSE);
	jitdump_end(&bytes, bytes.n - 16);
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
	jitdump_put_header(&bytes);
	jitdump_put_load(&bytes, "old", 0x1000, 0x100, 1);
	jitdump_put_load(&bytes, "new", 0x1040, 0x40, 2);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1000, "old :0");
	expect(&dump, 0x1040, "new :0");
	expect(&dump, 0x1080, "old :0");
	jitdump_deinit(&dump);
	free(bytes.data);
}

static void test_jitdump__moved_code_takes_its_lines_along(void **state)
{
	static const struct jitdump_entry entries[] = {{0x1000, 1, "a"}, {0x1010, 2, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	jitdump_put_header(&bytes);
	jitdump_put_lines(&bytes, 0x1000, entries, 2);
	jitdump_put_load(&bytes, "f", 0x1000, 0x20, 7);
	jitdump_put_move(&bytes, 0x1000, 0x5000, 0x20, 7);
	jitdump_put_move(&bytes, 0x5000, 0x3000, 0x20, 7);
	jitdump_put_move(&bytes, 0x9000, 0xa000, 0x20, 8); /* never loaded */
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
	static const struct jitdump_entry entries[] = {{0x1040, 1, "a"}, {0x1060, 2, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	jitdump_put_header(&bytes);
	jitdump_put_lines(&bytes, 0x1000, entries, 2);
	jitdump_put_load(&bytes, "f", 0x1000, 0x40, 1);
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
	jitdump_put_header(&bytes);
	const size_t start = jitdump_begin(&bytes, JITDUMP_DEBUG_INFO);
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
	jitdump_end(&bytes, start);
	jitdump_put_load(&bytes, "JS:*f /srv/a b.js:4:13", 0x1000, 0x40, 1);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1008, "JS:*f /srv/a b.js:4:13 /srv/a b.js:5");
	expect(&dump, 0x1018, "JS:*f /srv/a b.js:4:13 /srv/a b.js:6");
	jitdump_deinit(&dump);
	/* a name that says another path is no witness */
	bytes.n = bytes.n - 0x40 - sizeof("JS:*f /srv/a b.js:4:13") - 56;
	jitdump_put_load(&bytes, "JS:*f /srv/other.js:4:13", 0x1000, 0x40, 1);
	assert_int_equal(read_bytes(&dump, &bytes, bytes.n), 0);
	expect(&dump, 0x1008, "JS:*f /srv/other.js:4:13 :0");
	assert_int_equal(dump.malformed, 1);
	jitdump_deinit(&dump);
	free(bytes.data);
}

static void test_jitdump__a_file_that_is_still_written_ends_anywhere(void **state)
{
	static const struct jitdump_entry entries[] = {{0x2000, 1, "a"}};
	struct bytes bytes = {.data = NULL};
	struct jitdump dump;
	(void)state;
	jitdump_put_header(&bytes);
	jitdump_put_load(&bytes, "whole", 0x1000, 0x10, 1);
	const size_t whole = bytes.n;
	jitdump_put_lines(&bytes, 0x2000, entries, 1);
	jitdump_put_load(&bytes, "cut", 0x2000, 0x10, 2);
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
