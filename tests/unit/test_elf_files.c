/* What elf_image says of real binaries is compared with what readelf says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/elf_image.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

static FILE *readelf(const char *options, const char *path)
{
	char command[2 * PATH_MAX];
	snprintf(command, sizeof(command), "%s %s '%s' 2>/dev/null", READELF, options, path);
	FILE *out = popen(command, "re");
	assert_non_null(out);
	return out;
}

static void compare_segments(const struct elf_image *image, const char *path)
{
	FILE *out = readelf("-lW", path);
	size_t n, at = 0;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	struct elf_eh_frame_hdr hdr;
	const bool has_table = elf_image_eh_frame_hdr(image, &hdr);
	bool saw_table = false;
	char line[512];
	while (fgets(line, sizeof(line), out)) {
		char type[64], flags[8] = "";
		unsigned long long off, svma, physical, file_size, mem_size;
		if (sscanf(line, " %63s 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx %7[RWE ]", type, &off,
			   &svma, &physical, &file_size, &mem_size, flags) != 7)
			continue;
		if (strcmp(type, "GNU_EH_FRAME") == 0) {
			saw_table = true;
			assert_int_equal(hdr.svma, svma);
			assert_int_equal((file_size - (hdr.table_svma - hdr.svma)) / 8,
					 hdr.n_entries);
		}
		if (strcmp(type, "LOAD") != 0)
			continue;
		assert_true(at < n);
		assert_int_equal(segments[at].file_off, off);
		assert_int_equal(segments[at].svma, svma);
		assert_int_equal(segments[at].file_size, file_size);
		assert_int_equal(segments[at].mem_size, mem_size);
		assert_int_equal(segments[at].exec, strchr(flags, 'E') != NULL);
		at++;
	}
	assert_int_equal(pclose(out), 0);
	assert_int_equal(at, n);
	assert_true(n >= 1);
	assert_int_equal(has_table, saw_table);
}

static void compare_build_id(const struct elf_image *image, const char *path)
{
	FILE *out = readelf("-nW", path);
	char line[512], wanted[256] = "", hex[2 * ELF_BUILD_ID_MAX + 1];
	while (fgets(line, sizeof(line), out)) {
		const char *id = strstr(line, "Build ID: ");
		if (id)
			sscanf(id, "Build ID: %255s", wanted);
	}
	assert_int_equal(pclose(out), 0);
	assert_string_equal(elf_build_id_hex(elf_image_build_id(image), hex), wanted);
}

static void compare(const char *path)
{
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	struct elf_image *image = NULL;
	assert_int_equal(elf_image_open_fd(fd, path, &image, NULL), 0);
	compare_segments(image, path);
	compare_build_id(image, path);
	elf_image_destroy(image);
}

static void test_elf_files__each_kind_of_link(void **state)
{
	(void)state;
	char names[] = PROBES, *rest = names, path[PATH_MAX];
	size_t n = 0;
	for (const char *name; (name = strtok_r(rest, " ", &rest)); n++) {
		snprintf(path, sizeof(path), "%s/%s", FIXTURE_DIR, name);
		compare(path);
	}
	assert_true(n >= 5);
}

static void test_elf_files__system_binaries(void **state)
{
	(void)state;
	compare("/bin/true");
	compare("/lib64/ld-linux-x86-64.so.2");
	compare("/lib/x86_64-linux-gnu/libc.so.6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf_files__each_kind_of_link),
		cmocka_unit_test(test_elf_files__system_binaries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
