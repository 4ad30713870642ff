#include "symbolizer/binary.h"

#include "symbolizer_fixtures/expect.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_chain(const char *name)
{
	char path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	fixture_path(name, path);
	struct binary *binary = open_binary(path, fixture_build_id(path, id), NULL);
	assert_true(binary_has_functions(binary));
	assert_true(binary_has_dwarf(binary));
	assert_string_equal(binary_shortcoming(binary), "");
	expect_chain(binary, path);
	binary_close(binary);
}

static void test_binary__inline_chain_with_call_lines_from_every_compiler(void **state)
{
	(void)state;
	fixture_each(CHAIN_MATRIX, check_chain);
}

static void check_templates(const char *name)
{
	char path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	struct binary *binary = open_binary(fixture_path(name, path), "", NULL);
	assert_int_equal(find(binary, fixture_address(path, "at_area"), &frames), 1);
	expect_frame(&frames[0], "shapes::box<int>::area(int)", "templates.cpp", "area");
	assert_string_equal(frames[0].system_name, "_ZN6shapes3boxIiE4areaEi");
	assert_int_equal(find(binary, fixture_address(path, "at_hidden"), &frames), 1);
	/* gcc gives names without linkage no DW_AT_linkage_name: no parameters then */
	assert_int_equal(strncmp(frames[0].name, "(anonymous namespace)::hidden", 29), 0);
	assert_int_equal(frames[0].line, fixture_line("templates.cpp", "hidden"));

	assert_int_equal(find(binary, fixture_address(path, "at_lambda"), &frames), 3);
	assert_int_equal(strncmp(frames[0].name, "overloaded(double, char const*)::", 33), 0);
	assert_non_null(strstr(frames[0].name, "::operator()"));
	assert_int_equal(frames[0].line, fixture_line("templates.cpp", "lambda"));
	assert_non_null(strstr(frames[1].name, "shapes::apply<"));
	assert_int_equal(frames[1].line, fixture_line("templates.cpp", "apply"));
	expect_frame(&frames[2], "overloaded(double, char const*)", "templates.cpp", "overloaded");

	/* what cannot be demangled is not what people should read */
	assert_int_equal(find(binary, fixture_address(path, "at_odd"), &frames), 1);
	expect_frame(&frames[0], "odd", "templates.cpp", "odd");
	assert_string_equal(frames[0].system_name, "_Zodd");
	binary_close(binary);
}

static void test_binary__cxx_members_lambdas_and_namespaces(void **state)
{
	(void)state;
	fixture_each(TEMPLATES_MATRIX, check_templates);
}

static void test_binary__stripped_file_uses_its_debug_link(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], stripped[FIXTURE_PATH_MAX];
	fixture_path("chain_gcc5", whole);
	snprintf(stripped, sizeof(stripped), "%s/chain", dir);
	fixture_run("cd %s && " OBJCOPY " --only-keep-debug %s chain.debug && " OBJCOPY
		    " --strip-all --add-gnu-debuglink=chain.debug %s chain",
		    dir, whole, whole);
	struct binary *binary = open_binary(stripped, "", NULL);
	assert_true(binary_has_dwarf(binary));
	expect_chain(binary, whole);
	binary_close(binary);
}

static void test_binary__debug_file_by_build_id_also_without_the_binary(void **state)
{
	const char *dir = *state, *dirs[] = {dir};
	char whole[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX], stripped[FIXTURE_PATH_MAX];
	const struct binary_options options = {.debug_dirs = dirs, .n_debug_dirs = 1};
	fixture_build_id(fixture_path("chain_gcc4", whole), id);
	snprintf(stripped, sizeof(stripped), "%s/chain", dir);
	fixture_run("cd %s && mkdir -p .build-id/%.2s && " OBJCOPY
		    " --only-keep-debug %s .build-id/%.2s/%s.debug && " OBJCOPY
		    " --strip-all %s chain",
		    dir, id, whole, id, id + 2, whole);
	struct binary *binary = open_binary(stripped, id, &options);
	expect_chain(binary, whole);
	binary_close(binary);
	binary = open_binary("/gone/chain", id, &options);
	expect_chain(binary, whole);
	binary_close(binary);
}

static void test_binary__dwz_files_share_a_third_file(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX], sweep[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("templates_gcc", whole);
	fixture_path("sweep_gcc4", sweep);
	snprintf(path, sizeof(path), "%s/a", dir);
	fixture_run("cd %s && cp %s a && cp %s b && cp %s c && dwz -m shared -r a b c", dir, whole,
		    sweep, sweep);
	struct binary *binary = open_binary(path, "", NULL);
	assert_string_equal(binary_shortcoming(binary), "");
	assert_int_equal(find(binary, fixture_address(whole, "at_area"), &frames), 1);
	expect_frame(&frames[0], "shapes::box<int>::area(int)", "templates.cpp", "area");
	binary_close(binary);

	/* b and c are the same program: all that names their functions lies in the shared file */
	uint64_t run = fixture_address(sweep, "_ZN3app3runEi");
	snprintf(path, sizeof(path), "%s/b", dir);
	binary = open_binary(path, "", NULL);
	assert_int_equal(find(binary, run, &frames), 1);
	assert_string_equal(frames[0].name, "app::run(int)");
	binary_close(binary);
	fixture_run("rm %s/shared", dir);
	binary = open_binary(path, "", NULL);
	assert_non_null(strstr(binary_shortcoming(binary), "dwz"));
	assert_int_equal(find(binary, run, &frames), 1);
	assert_string_equal(frames[0].name, "app::run(int)"); /* from the symbol table */
	binary_close(binary);
}

static void test_binary__another_build_is_refused(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	const struct binary_options none = {0};
	struct binary *binary = NULL;
	struct cp_err err;
	fixture_path("chain_other", path);
	assert_int_equal(binary_open(path, "0badcaff", &none, &binary, &err), -ESTALE);
	assert_non_null(strstr(err.message, "another build (build-id 0badcafe)"));
	assert_null(binary);
	fixture_path("chain_no_id", path);
	assert_int_equal(binary_open(path, "0badcaff", &none, &binary, &err), -ESTALE);
	binary = open_binary(fixture_path("chain_other", path), "0badcafe", NULL);
	binary_close(binary);
}

static void test_binary__what_cannot_be_read_says_why(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX];
	const struct binary_options none = {0};
	struct binary *binary = NULL;
	struct cp_err err;
	snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(binary_open(path, "", &none, &binary, &err), -ENOENT);
	assert_string_equal(err.message, "No such file or directory");
	fixture_run("echo text > %s", path);
	assert_int_equal(binary_open(path, "", &none, &binary, &err), -ENOEXEC);
	assert_string_equal(err.message, "not an ELF program or library");
	assert_int_equal(binary_open(dir, "", &none, &binary, &err), -EINVAL);
	assert_null(binary);
}

static void test_binary__without_dwarf_elf_symbols_name_functions(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	struct binary *binary = open_binary(fixture_path("stubs_plain", path), "", NULL);
	assert_false(binary_has_dwarf(binary));
	assert_true(binary_has_functions(binary));
	assert_string_equal(
		binary_shortcoming(binary),
		"no debug information: function names as far as ELF symbols go, no lines");
	assert_int_equal(find(binary, fixture_address(path, "exported") + 3, &frames), 1);
	assert_string_equal(frames[0].name, "exported");
	assert_string_equal(frames[0].file, "");
	assert_int_equal(frames[0].line, 0);
	assert_int_equal(find(binary, fixture_address(path, "internal"), &frames), 1);
	assert_string_equal(frames[0].name, "internal");
	assert_int_equal(find(binary, 1, &frames), 0);
	binary_close(binary);
}

static void test_binary__stripped_library_keeps_its_exported_functions(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], stripped[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("templates_gcc", whole);
	snprintf(stripped, sizeof(stripped), "%s/lib.so", dir);
	fixture_run(OBJCOPY " --strip-all %s %s", whole, stripped);
	struct binary *binary = open_binary(stripped, "", NULL);
	assert_int_equal(find(binary, fixture_address(whole, "at_area"), &frames), 1);
	assert_string_equal(frames[0].name, "shapes::box<int>::area(int)");
	assert_int_equal(find(binary, fixture_address(whole, "at_hidden"), &frames), 0);
	binary_close(binary);
}

/* Addresses of PLT stubs as objdump names them: "0000000000001030 <strdup@plt>:". */
static void check_stubs(const char *name)
{
	char path[FIXTURE_PATH_MAX], command[2 * FIXTURE_PATH_MAX], line[512], stub[256];
	unsigned long long address;
	int n_stubs = 0;
	const struct symbol_frame *frames;
	fixture_path(name, path);
	struct binary *binary = open_binary(path, "", NULL);
	snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn '%s'", path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		/* "free@plt-0x10" is what objdump calls the common part of lazy stubs */
		if (sscanf(line, "%llx <%255[^>]>:", &address, stub) != 2 ||
		    !strstr(stub, "@plt") || strstr(stub, "-0x"))
			continue;
		n_stubs++;
		for (uint64_t offset = 0; offset < 8; offset += 7) {
			assert_int_equal(find(binary, address + offset, &frames), 1);
			assert_string_equal(frames[0].name, stub);
		}
	}
	pclose(pipe);
	if (n_stubs < 4)
		fail_msg("%s: only %d stubs", name, n_stubs);
	binary_close(binary);
}

static void test_binary__plt_stubs_are_named_after_their_functions(void **state)
{
	(void)state;
	fixture_each("stubs_plain stubs_cet stubs_now", check_stubs);
}

#define WITH_DIR(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_binary__inline_chain_with_call_lines_from_every_compiler),
		cmocka_unit_test(test_binary__cxx_members_lambdas_and_namespaces),
		WITH_DIR(test_binary__stripped_file_uses_its_debug_link),
		WITH_DIR(test_binary__debug_file_by_build_id_also_without_the_binary),
		WITH_DIR(test_binary__dwz_files_share_a_third_file),
		cmocka_unit_test(test_binary__another_build_is_refused),
		WITH_DIR(test_binary__what_cannot_be_read_says_why),
		cmocka_unit_test(test_binary__without_dwarf_elf_symbols_name_functions),
		WITH_DIR(test_binary__stripped_library_keeps_its_exported_functions),
		cmocka_unit_test(test_binary__plt_stubs_are_named_after_their_functions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
