#include "symbolizer/kernel_debug.h"

#include "symbolizer_fixtures/expect.h"

#include <unistd.h>

#define RELEASE "6.1.0-test"
static const uint64_t stated_text = 0xffffffff81000000, slide = 0x1c000000;

/* A kernel of one file: chain.c where kernels are, with the symbol that they begin with. */
static void build_kernel(const char *dir, const char *name)
{
	fixture_run("cd %s && mkdir -p $(dirname ./%s) && gcc -O2 -g -static -nostdlib -fno-pic "
		    "-mcmodel=kernel -Wl,--build-id -Wl,-e,last -Wl,-Ttext=0x%lx "
		    "-Wl,--defsym=_text=0x%lx %s/chain.c -o ./%s",
		    dir, name, (unsigned long)stated_text, (unsigned long)stated_text,
		    FIXTURE_SOURCE_DIR, name);
}

/* What the running kernel says of itself: loaded elsewhere, and with a module. */
static void read_kallsyms(const char *dir, struct kallsyms *out)
{
	char path[FIXTURE_PATH_MAX];
	struct cp_err err;
	snprintf(path, sizeof(path), "%s/kallsyms", dir);
	fixture_run("printf '%%s\\n' '%lx T _text' '%lx t innermost_alias' 'ffffffffc0001000 t "
		    "ext4_readdir\t[ext4]' > %s",
		    (unsigned long)(stated_text + slide), (unsigned long)(stated_text + slide + 64),
		    path);
	assert_int_equal(kallsyms_read(out, path, &err), 0);
}

static struct kernel_debug open_kernel(const char *dir, const char *build_id)
{
	const char *const dirs[] = {dir};
	const struct binary_options options = {.debug_dirs = dirs, .n_debug_dirs = 1};
	struct kallsyms kallsyms;
	struct kernel_debug debug;
	read_kallsyms(dir, &kallsyms);
	assert_int_equal(kernel_debug_open(&debug, RELEASE, build_id, &kallsyms, &options), 0);
	kallsyms_deinit(&kallsyms);
	return debug;
}

static void check_place(const char *dir, const char *name)
{
	char path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	size_t n;
	build_kernel(dir, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	struct kernel_debug debug = open_kernel(dir, fixture_build_id(path, id));
	assert_non_null(debug.binary);
	const uint64_t at = fixture_address(path, "at_innermost");
	assert_int_equal(kernel_debug_find(&debug, at + slide, &frames, &n), 0);
	assert_int_equal(n, 3);
	expect_frame(&frames[0], "innermost", "chain.c", "innermost");
	expect_frame(&frames[2], "outer", "chain.c", "outer");
	/* where the file states it there is nothing on this boot; nor of modules */
	assert_int_equal(kernel_debug_find(&debug, at, &frames, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(kernel_debug_find(&debug, 0xffffffffc0001000, &frames, &n), 0);
	assert_int_equal(n, 0);
	kernel_debug_close(&debug);
	fixture_run("rm %s", path);
}

static void test_kernel_debug__lines_from_wherever_packages_put_the_file(void **state)
{
	check_place(*state, "boot/vmlinux-" RELEASE);
	check_place(*state, "lib/modules/" RELEASE "/vmlinux");
	check_place(*state, "vmlinux-" RELEASE);
}

static void test_kernel_debug__by_build_id(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	build_kernel(dir, "vmlinux");
	snprintf(path, sizeof(path), "%s/vmlinux", dir);
	fixture_build_id(path, id);
	fixture_run("cd %s && mkdir -p .build-id/%.2s && mv vmlinux .build-id/%.2s/%s.debug", dir,
		    id, id, id + 2);
	struct kernel_debug debug = open_kernel(dir, id);
	assert_non_null(debug.binary);
	kernel_debug_close(&debug);
}

static void test_kernel_debug__another_build_or_an_unknown_one_is_not_used(void **state)
{
	const char *dir = *state;
	build_kernel(dir, "boot/vmlinux-" RELEASE);
	struct kernel_debug debug = open_kernel(dir, "0badcafe0badcafe0badcafe");
	assert_null(debug.binary);
	debug = open_kernel(dir, "");
	assert_null(debug.binary);
	kernel_debug_close(&debug);
}

#define WITH_DIR(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(test_kernel_debug__lines_from_wherever_packages_put_the_file),
		WITH_DIR(test_kernel_debug__by_build_id),
		WITH_DIR(test_kernel_debug__another_build_or_an_unknown_one_is_not_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
