#include "elf/debug_file.h"

#include "symbolizer_fixtures/fixtures.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* CRC32 of a file, by gzip: the trailer's first word. */
static uint32_t crc_of(const char *path)
{
	char command[FIXTURE_PATH_MAX];
	unsigned int crc;
	snprintf(command, sizeof(command), "gzip -c '%s' | tail -c8 | od -An -tu4 -N4", path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &crc), 1);
	pclose(pipe);
	return crc;
}

static struct elf_build_id id_of(const char *path)
{
	struct elf_build_id id;
	elf_version(EV_CURRENT);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	debug_file_build_id(elf, &id);
	elf_end(elf);
	close(fd);
	return id;
}

static void expect_found(const struct debug_file_search *search, const char *fmt, ...)
{
	char wanted[PATH_MAX];
	struct debug_file file;
	va_list args;
	va_start(args, fmt);
	vsnprintf(wanted, sizeof(wanted), fmt, args);
	va_end(args);
	assert_int_equal(debug_file_find(search, &file), 0);
	assert_string_equal(file.path, wanted);
	assert_true(file.fd >= 0);
	debug_file_deinit(&file);
}

static void expect_code(const struct debug_file_search *search, int code)
{
	struct debug_file file;
	assert_int_equal(debug_file_find(search, &file), code);
	assert_int_equal(file.fd, -1);
	debug_file_deinit(&file);
}

static void test_debug_file__reads_the_build_id_that_readelf_shows(void **state)
{
	(void)state;
	char path[FIXTURE_PATH_MAX], hex[FIXTURE_PATH_MAX];
	struct elf_build_id parsed, id = id_of(fixture_path("chain_gcc5", path));
	fixture_build_id(path, hex);
	assert_int_equal(strlen(hex), 40);
	assert_true(debug_file_parse_build_id(hex, &parsed));
	assert_int_equal(id.n, 20);
	assert_int_equal(parsed.n, 20);
	assert_memory_equal(id.bytes, parsed.bytes, 20);
	id = id_of(fixture_path("chain_other", path));
	assert_int_equal(id.n, 4);
	assert_memory_equal(id.bytes, "\x0b\xad\xca\xfe", 4);
	id = id_of(fixture_path("chain_no_id", path));
	assert_int_equal(id.n, 0);
}

static void test_debug_file__refuses_hex_that_is_no_build_id(void **state)
{
	(void)state;
	struct elf_build_id id = {.n = 7};
	char overlong[2 * ELF_BUILD_ID_MAX + 3];
	memset(overlong, 'a', sizeof(overlong) - 1);
	overlong[sizeof(overlong) - 1] = '\0';
	assert_false(debug_file_parse_build_id("abc", &id));
	assert_false(debug_file_parse_build_id("0g", &id));
	assert_false(debug_file_parse_build_id(overlong, &id));
	assert_int_equal(id.n, 7);
	assert_true(debug_file_parse_build_id("00fFA1", &id));
	assert_int_equal(id.n, 3);
	assert_memory_equal(id.bytes, "\x00\xff\xa1", 3);
	assert_false(debug_file_parse_build_id("", &id));
}

static void test_debug_file__finds_by_build_id_below_a_debug_dir(void **state)
{
	const char *dir = *state, *dirs[] = {"/nonexistent", dir};
	char binary[FIXTURE_PATH_MAX], hex[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	fixture_build_id(binary, hex);
	struct debug_file_search search = {
		.path = "/gone/chain", .binary_fd = -1, .build_id = &id, .dirs = dirs, .n_dirs = 2};
	expect_code(&search, -ENOENT);
	fixture_run("mkdir -p %s/.build-id/%.2s && " OBJCOPY
		    " --only-keep-debug %s %s/.build-id/%.2s/%s.debug",
		    dir, hex, binary, dir, hex, hex + 2);
	expect_found(&search, "%s/.build-id/%.2s/%s.debug", dir, hex, hex + 2);
}

static void test_debug_file__never_takes_another_build(void **state)
{
	const char *dir = *state, *dirs[] = {dir};
	char binary[FIXTURE_PATH_MAX], other[FIXTURE_PATH_MAX], hex[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	fixture_build_id(binary, hex);
	fixture_path("chain_other", other);
	fixture_run("mkdir -p %s/.build-id/%.2s && cp %s %s/.build-id/%.2s/%s.debug && cp %s "
		    "%s/l.debug",
		    dir, hex, other, dir, hex, hex + 2, other, dir);
	struct debug_file_search search = {.path = "/gone/chain",
					   .binary_fd = -1,
					   .build_id = &id,
					   .link = "l.debug",
					   .link_crc = crc_of(other), /* even so */
					   .dirs = dirs,
					   .n_dirs = 1};
	struct debug_file file;
	assert_int_equal(debug_file_find(&search, &file), -ESTALE);
	assert_non_null(strstr(file.path, ".build-id/"));
	assert_int_equal(file.fd, -1);
	debug_file_deinit(&file);
}

static void test_debug_file__link_needs_its_crc_when_there_is_no_build_id(void **state)
{
	const char *dir = *state;
	char binary[FIXTURE_PATH_MAX], copy[FIXTURE_PATH_MAX], debug[FIXTURE_PATH_MAX];
	struct elf_build_id none = {.n = 0};
	fixture_path("chain_no_id", binary);
	snprintf(copy, sizeof(copy), "%s/chain", dir);
	snprintf(debug, sizeof(debug), "%s/.debug/chain.debug", dir);
	fixture_run("cp %s %s && mkdir %s/.debug && " OBJCOPY " --only-keep-debug %s %s", binary,
		    copy, dir, binary, debug);
	struct debug_file_search search = {.path = copy,
					   .binary_fd = -1,
					   .build_id = &none,
					   .link = "chain.debug",
					   .link_crc = crc_of(debug)};
	expect_found(&search, "%s", debug);
	search.link_crc ^= 1;
	expect_code(&search, -ESTALE);
	search.link_crc ^= 1;
	search.link = "../chain.debug"; /* a link is a bare name */
	expect_code(&search, -ENOENT);
}

static void test_debug_file__link_is_looked_for_in_three_places(void **state)
{
	const char *dir = *state, *dirs[] = {NULL};
	char binary[FIXTURE_PATH_MAX], bin[FIXTURE_PATH_MAX], tree[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	snprintf(bin, sizeof(bin), "%s/bin/chain", dir);
	snprintf(tree, sizeof(tree), "%s/tree", dir);
	dirs[0] = tree;
	fixture_run("mkdir -p %s/bin/.debug %s%s/bin && cp %s %s", dir, tree, dir, binary, bin);
	struct debug_file_search search = {.path = bin,
					   .binary_fd = -1,
					   .build_id = &id,
					   .link = "linked.debug",
					   .dirs = dirs,
					   .n_dirs = 1};
	expect_code(&search, -ENOENT);
	fixture_run("cp %s %s%s/bin/linked.debug", binary, tree, dir);
	expect_found(&search, "%s%s/bin/linked.debug", tree, dir);
	fixture_run("cp %s %s/bin/.debug/linked.debug", binary, dir);
	expect_found(&search, "%s/bin/.debug/linked.debug", dir);
	fixture_run("cp %s %s/bin/linked.debug", binary, dir);
	expect_found(&search, "%s/bin/linked.debug", dir);
	/* without a link: by the binary's own path below the directory */
	search.link = NULL;
	expect_code(&search, -ENOENT);
	fixture_run("cp %s %s%s.debug", binary, tree, bin);
	expect_found(&search, "%s%s.debug", tree, bin);
}

static void test_debug_file__the_targets_root_comes_first(void **state)
{
	const char *dir = *state;
	char binary[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	fixture_run("mkdir -p %s/opt/.debug && cp %s %s/opt/.debug/chain.debug", dir, binary, dir);
	struct debug_file_search search = {.path = "/opt/chain",
					   .root = dir,
					   .binary_fd = -1,
					   .build_id = &id,
					   .link = "chain.debug"};
	expect_found(&search, "%s/opt/.debug/chain.debug", dir);
}

static void test_debug_file__a_binary_is_not_its_own_debug_file(void **state)
{
	const char *dir = *state;
	char binary[FIXTURE_PATH_MAX], copy[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	snprintf(copy, sizeof(copy), "%s/chain", dir);
	fixture_run("cp %s %s", binary, copy);
	int fd = open(copy, O_RDONLY);
	struct debug_file_search search = {
		.path = copy, .binary_fd = fd, .build_id = &id, .link = "chain"};
	expect_code(&search, -ENOENT);
	close(fd);
}

static void test_debug_file__finds_shared_debug_information(void **state)
{
	const char *dir = *state, *dirs[] = {dir};
	char binary[FIXTURE_PATH_MAX], debug[FIXTURE_PATH_MAX], wanted[FIXTURE_PATH_MAX];
	struct elf_build_id id = id_of(fixture_path("chain_gcc5", binary));
	struct elf_build_id other = id_of(fixture_path("chain_other", wanted));
	struct debug_file_search search = {
		.path = "", .binary_fd = -1, .build_id = &other, .dirs = dirs, .n_dirs = 1};
	struct debug_file file;
	/* Debian: the debug file is reached through a link, the name is relative to the file */
	fixture_run(
		"mkdir -p %s/real/a %s/real/.dwz %s/.dwz %s/links && cp %s %s/real/a/x.debug && "
		"ln -s ../real/a/x.debug %s/links/x.debug",
		dir, dir, dir, dir, binary, dir, dir);
	snprintf(debug, sizeof(debug), "%s/links/x.debug", dir);
	assert_int_equal(debug_file_find_alt(&search, debug, "../.dwz/shared", &id, &file),
			 -ENOENT);
	fixture_run("cp %s %s/real/.dwz/shared", binary, dir);
	assert_int_equal(debug_file_find_alt(&search, debug, "../.dwz/shared", &id, &file), 0);
	snprintf(wanted, sizeof(wanted), "%s/real/a/../.dwz/shared", dir);
	assert_string_equal(file.path, wanted);
	debug_file_deinit(&file);
	assert_int_equal(debug_file_find_alt(&search, debug, "../.dwz/shared", &other, &file),
			 -ESTALE);
	debug_file_deinit(&file);
	fixture_run("cp %s %s/.dwz/elsewhere", binary, dir);
	assert_int_equal(debug_file_find_alt(&search, debug, "/gone/elsewhere", &id, &file), 0);
	snprintf(wanted, sizeof(wanted), "%s/.dwz/elsewhere", dir);
	assert_string_equal(file.path, wanted);
	debug_file_deinit(&file);
}

#define WITH_DIR(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_file__reads_the_build_id_that_readelf_shows),
		cmocka_unit_test(test_debug_file__refuses_hex_that_is_no_build_id),
		WITH_DIR(test_debug_file__finds_by_build_id_below_a_debug_dir),
		WITH_DIR(test_debug_file__never_takes_another_build),
		WITH_DIR(test_debug_file__link_needs_its_crc_when_there_is_no_build_id),
		WITH_DIR(test_debug_file__link_is_looked_for_in_three_places),
		WITH_DIR(test_debug_file__the_targets_root_comes_first),
		WITH_DIR(test_debug_file__a_binary_is_not_its_own_debug_file),
		WITH_DIR(test_debug_file__finds_shared_debug_information),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
