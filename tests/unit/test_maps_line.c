#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/maps_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char line[1024];
static struct maps_line out;

static bool parse(const char *text)
{
	memset(&out, 0, sizeof(out));
	assert_true(strlen(text) < sizeof(line));
	memcpy(line, text, strlen(text) + 1);
	return maps_line_parse(line, &out);
}

static void test_maps_line__a_library(void **state)
{
	(void)state;
	assert_true(parse("7f24f7d76000-7f24f7e8b000 r-xp 00026000 fe:1f 1234567                "
			  "    /usr/lib/x86_64-linux-gnu/libc.so.6\n"));
	assert_true(out.avma_start == 0x7f24f7d76000);
	assert_true(out.avma_end == 0x7f24f7e8b000);
	assert_int_equal(out.file_off, 0x26000);
	assert_true(out.exec);
	assert_int_equal(out.file.dev_major, 0xfe);
	assert_int_equal(out.file.dev_minor, 0x1f);
	assert_int_equal(out.file.inode, 1234567);
	assert_string_equal(out.file.path, "/usr/lib/x86_64-linux-gnu/libc.so.6");
	assert_false(out.file.deleted);
}

static void test_maps_line__without_a_path(void **state)
{
	(void)state;
	assert_true(parse("00400000-00401000 rw-p 00000000 00:00 0 \n"));
	assert_string_equal(out.file.path, "");
	assert_false(out.exec);
	assert_true(parse("00400000-00401000 rwxp 00000000 00:00 0"));
	assert_string_equal(out.file.path, "");
	assert_true(out.exec);
}

static void test_maps_line__paths_as_the_kernel_writes_them(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path;
		bool deleted;
	} cases[] = {
		{"/a b  c.so", "/a b  c.so", false},
		{"/tmp/new\\012line", "/tmp/new\nline", false},
		{"/tmp/back\\slash\\0123", "/tmp/back\\slash\n3", false},
		{"/tmp/x (deleted)", "/tmp/x", true},
		{"/tmp/x (deleted) (deleted)", "/tmp/x (deleted)", true},
		{"/tmp/x(deleted)", "/tmp/x(deleted)", false},
		{" (deleted)", "(deleted)", false},
		{"[vdso]", "[vdso]", false},
		{"/memfd:doublemapper (deleted)", "/memfd:doublemapper", true},
		{"/caf\xc3\xa9", "/caf\xc3\xa9", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "1000-2000 r-xp 0 08:01 7    %s\n", cases[i].text);
		assert_true(parse(text));
		assert_string_equal(out.file.path, cases[i].path);
		assert_int_equal(out.file.deleted, cases[i].deleted);
	}
}

static void test_maps_line__no_line_of_maps(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"\n",
		"garbage",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 r-x",
		"1000-2000 r-xp",
		"1000-2000 r-xp ",
		"1000-2000 r-xpp 0 08:01 7 /x",
		"1000-2000 r-xp 0",
		"1000-2000 r-xp 0 08",
		"1000-2000 r-xp 0 08:01",
		"1000-2000 r-xp 0 08:01 ",
		"1000-2000 r-xp 0 08:01 x /x",
		"1000-2000 r-xp 0 08:01 7x",
		"-1000-2000 r-xp 0 08:01 7 /x",
		"2000-1000 r-xp 0 08:01 7 /x",
		"1000-1000 r-xp 0 08:01 7 /x",
		"10000000000000000-20000000000000000 r-xp 0 08:01 7 /x",
		"1000-2000 r-xp 0 08:01 18446744073709551616 /x",
		"1G00-2000 r-xp 0 08:01 7 /x",
		"1000-2000  r-xp 0 08:01 7 /x",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]))
			fail_msg("taken for a line of maps: \"%s\"", bad[i]);
}

static void test_maps_line__cut_at_every_byte(void **state)
{
	(void)state;
	static const char whole[] =
		"7f24f7d76000-7f24f7e8b000 r-xp 00026000 fe:1f 1234567     /l.so";
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		/* of the exact size, for the sanitizer */
		char *cut = malloc(n + 1);
		assert_non_null(cut);
		memcpy(cut, whole, n);
		cut[n] = '\0';
		struct maps_line parsed;
		const bool ok = maps_line_parse(cut, &parsed);
		/* from the first digit of the inode on it is a line */
		assert_int_equal(ok, n > strlen("7f24f7d76000-7f24f7e8b000 r-xp 00026000 fe:1f "));
		free(cut);
	}
}

static void test_maps_line__kinds(void **state)
{
	(void)state;
	assert_int_equal(mapping_kind_of("/bin/true", 7), MAPPING_FILE);
	assert_int_equal(mapping_kind_of("/bin/true", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("//anon", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("[heap]", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("[stack]", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("[vsyscall]", 0), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("[vdso]", 0), MAPPING_VDSO);
	assert_int_equal(mapping_kind_of("/memfd:jit", 7), MAPPING_MEMFD);
	assert_int_equal(mapping_kind_of("/dev/zero", 7), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("/SYSV00000000", 7), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("/anon_hugepage", 7), MAPPING_ANON);
	assert_int_equal(mapping_kind_of("anon_inode:[x]", 7), MAPPING_ANON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_line__a_library),
		cmocka_unit_test(test_maps_line__without_a_path),
		cmocka_unit_test(test_maps_line__paths_as_the_kernel_writes_them),
		cmocka_unit_test(test_maps_line__no_line_of_maps),
		cmocka_unit_test(test_maps_line__cut_at_every_byte),
		cmocka_unit_test(test_maps_line__kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
