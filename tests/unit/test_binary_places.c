/* Where debug information hides: each place with its file made here, and what is told of it. */
#include "symbolizer_fixtures/expect.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *path_in(const char *dir, const char *name, char buf[FIXTURE_PATH_MAX])
{
	snprintf(buf, FIXTURE_PATH_MAX, "%s/%s", dir, name);
	return buf;
}

static const char *const chains[] = {"chain_gcc5", "chain_gcc4"};

static void test_binary_places__sections_compressed_by_zstd(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		fixture_path(chains[i], whole);
		fixture_run(OBJCOPY " --compress-debug-sections=zstd %s %s", whole,
			    path_in(dir, "zstd", path));
		fixture_run("readelf -t %s | grep -A3 debug_info | grep -q 000800", path);
		struct binary *binary = open_binary(path, "", NULL);
		assert_true(binary_has_dwarf(binary));
		assert_string_equal(binary_shortcoming(binary), "");
		expect_chain(binary, whole);
		binary_close(binary);
	}
}

static void test_binary_places__zstd_in_the_debug_file_and_in_the_shared_one(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX], sweep[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("chain_gcc5", whole);
	fixture_run("cd %s && " OBJCOPY
		    " --only-keep-debug --compress-debug-sections=zstd %s chain.debug && " OBJCOPY
		    " --strip-all --add-gnu-debuglink=chain.debug %s chain",
		    dir, whole, whole);
	struct binary *binary = open_binary(path_in(dir, "chain", path), "", NULL);
	expect_chain(binary, whole);
	binary_close(binary);

	fixture_path("sweep_gcc4", sweep);
	fixture_run("cd %s && cp %s b && cp %s c && dwz -m shared -r b c && " OBJCOPY
		    " --strip-symbol=_ZN3app3runEi --compress-debug-sections=zstd b && " OBJCOPY
		    " --compress-debug-sections=zstd shared",
		    dir, sweep, sweep);
	binary = open_binary(path_in(dir, "b", path), "", NULL);
	assert_string_equal(binary_shortcoming(binary), "");
	assert_int_equal(find(binary, fixture_address(sweep, "_ZN3app3runEi"), &frames), 1);
	assert_string_equal(frames[0].name, "app::run(int)");
	binary_close(binary);
}

static void test_binary_places__damaged_zstd_sections_are_no_debug_information(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	/* all of .debug_info behind its header is overwritten */
	fixture_run(
		"cd %s && " OBJCOPY " --compress-debug-sections=zstd %s damaged && "
		"set -- $(readelf -SW damaged | sed -n 's/^.* \\.debug_info *PROGBITS *[0-9a-f]* "
		"\\([0-9a-f]*\\) \\([0-9a-f]*\\) .*/\\1 \\2/p') && "
		"head -c $((0x$2 - 24)) /dev/zero | tr '\\0' z | "
		"dd of=damaged bs=1 seek=$((0x$1 + 24)) conv=notrunc status=none",
		dir, fixture_path("chain_gcc5", whole));
	struct binary *binary = open_binary(path_in(dir, "damaged", path), "", NULL);
	assert_false(binary_has_dwarf(binary));
	assert_int_equal(find(binary, fixture_address(whole, "at_last"), &frames), 1);
	assert_string_equal(frames[0].name, "last"); /* by its symbol */
	binary_close(binary);
}

static void test_binary_places__minidebuginfo_names_what_stripping_took(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("stubs_plain", whole);
	fixture_run("cd %s && " OBJCOPY " -S --keep-symbol=internal %s mini && xz mini && " OBJCOPY
		    " -S %s stripped && cp stripped bare && " OBJCOPY
		    " --add-section .gnu_debugdata=mini.xz stripped",
		    dir, whole, whole);
	struct binary *binary = open_binary(path_in(dir, "bare", path), "", NULL);
	size_t n = find(binary, fixture_address(whole, "internal"), &frames);
	assert_true(n == 0 || strcmp(frames[0].name, "internal") != 0);
	binary_close(binary);
	binary = open_binary(path_in(dir, "stripped", path), "", NULL);
	assert_true(binary_has_functions(binary));
	assert_string_equal(
		binary_shortcoming(binary),
		"no debug information: function names from its minidebuginfo, no lines");
	assert_int_equal(find(binary, fixture_address(whole, "internal"), &frames), 1);
	assert_string_equal(frames[0].name, "internal");
	binary_close(binary);
}

static void test_binary_places__damaged_minidebuginfo_leaves_the_rest(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("templates_gcc", whole);
	fixture_run("cd %s && echo no xz > mini.xz && " OBJCOPY " -S %s stripped && " OBJCOPY
		    " --add-section .gnu_debugdata=mini.xz stripped",
		    dir, whole);
	struct binary *binary = open_binary(path_in(dir, "stripped", path), "", NULL);
	assert_int_equal(find(binary, fixture_address(whole, "at_area"), &frames), 1);
	assert_string_equal(frames[0].name, "shapes::box<int>::area(int)");
	binary_close(binary);
}

static void test_binary_places__files_truncated_under_us_give_no_signal(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	fixture_path("sweep_gcc5", whole);
	path_in(dir, "sweep", path);
	uint64_t run = fixture_address(whole, "_ZN3app3runEi");
	/* once before anything was looked up, once in the middle */
	for (int looked = 0; looked < 2; looked++) {
		fixture_run("cp %s %s", whole, path);
		struct binary *binary = open_binary(path, "", NULL);
		assert_false(binary_changed(binary));
		if (looked)
			assert_true(find(binary, run, &frames) > 0);
		assert_int_equal(truncate(path, 0), 0);
		for (uint64_t at = run; at < run + 512; at++)
			find(binary, at, &frames);
		assert_true(binary_changed(binary));
		binary_close(binary);
	}
}

static void test_binary_places__a_file_written_to_is_known_to_have_changed(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	fixture_run("cp %s %s", fixture_path("chain_gcc5", whole), path_in(dir, "chain", path));
	struct binary *binary = open_binary(path, "", NULL);
	assert_false(binary_changed(binary));
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_true(binary_changed(binary));
	binary_close(binary);
}

/* A split build of chain.c: @dir/chain.so, and its .dwo beside it. */
static void build_split(const char *dir, const char *compiler, const char *flags)
{
	fixture_run(
		"cd %s && rm -f * && %s %s -O2 -g -gsplit-dwarf -fPIC -c %s/chain.c -o chain.o && "
		"%s -shared -nostdlib -Wl,--build-id chain.o -o chain.so && test -f chain.dwo",
		dir, compiler, flags, FIXTURE_SOURCE_DIR, compiler);
}

static void test_binary_places__split_units_beside_and_where_they_were_compiled(void **state)
{
	static const char *const builds[][2] = {
		{"gcc", "-gdwarf-5"},
		{"gcc", "-gdwarf-4"},
		{"clang", "-gdwarf-5"},
		{"clang", "-gdwarf-4"},
	};
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], moved[FIXTURE_PATH_MAX];
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		build_split(dir, builds[i][0], builds[i][1]);
		struct binary *binary = open_binary(path_in(dir, "chain.so", path), "", NULL);
		assert_string_equal(binary_shortcoming(binary), "");
		expect_chain(binary, path);
		binary_close(binary);
		/* from elsewhere: by the compilation directory; then both moved: beside it */
		fixture_run("cd %s && mkdir sub && cp chain.so sub", dir);
		binary = open_binary(path_in(dir, "sub/chain.so", moved), "", NULL);
		expect_chain(binary, path);
		binary_close(binary);
		fixture_run("cd %s && mv chain.dwo sub", dir);
		binary = open_binary(moved, "", NULL);
		assert_string_equal(binary_shortcoming(binary), "");
		expect_chain(binary, path);
		binary_close(binary);
		fixture_run("rm -r %s/sub", dir);
	}
}

/* What is left without the split part: lines from the skeleton, names from ELF symbols. */
static void expect_skeleton(const char *path, const char *said)
{
	const struct symbol_frame *frames;
	struct binary *binary = open_binary(path, "", NULL);
	assert_int_equal(find(binary, fixture_address(path, "at_last"), &frames), 1);
	assert_string_equal(frames[0].name, "last");
	if (!strstr(binary_shortcoming(binary), said))
		fail_msg("%s: %s", said, binary_shortcoming(binary));
	binary_close(binary);
}

static void test_binary_places__missing_split_units_are_named(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], said[2 * FIXTURE_PATH_MAX];
	build_split(dir, "gcc", "-gdwarf-5");
	path_in(dir, "chain.so", path);
	snprintf(said, sizeof(said),
		 "split debug information is missing or of another build: %s/chain.dwo: ", dir);
	fixture_run("mv %s/chain.dwo %s/kept", dir, dir);
	expect_skeleton(path, said);
	/* what is no file must not be opened: this one would wait for a writer */
	fixture_run("mkfifo %s/chain.dwo", dir);
	expect_skeleton(path, said);
	/* a package, which libdw 0.188 cannot read */
	fixture_run("cd %s && rm chain.dwo && touch chain.so.dwp", dir);
	expect_skeleton(path, "its split debug information is in ");
	expect_skeleton(path, "chain.so.dwp, which elfutils");
}

static void test_binary_places__split_units_of_another_build_are_not_used(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], said[2 * FIXTURE_PATH_MAX];
	build_split(dir, "gcc", "-gdwarf-5");
	path_in(dir, "chain.so", path);
	fixture_run("cd %s && gcc -O2 -g -gsplit-dwarf -fPIC -c %s/stubs.c -o chain.o", dir,
		    FIXTURE_SOURCE_DIR);
	snprintf(said, sizeof(said), "of another build: %s/chain.dwo", dir);
	expect_skeleton(path, said);
	/* cut off, and empty */
	fixture_run("cd %s && truncate -s 300 chain.dwo", dir);
	expect_skeleton(path, said);
	fixture_run("cd %s && truncate -s 0 chain.dwo", dir);
	expect_skeleton(path, said);
}

/* It takes a capability that root has. */
static void test_binary_places__what_a_process_has_mapped_when_the_file_is_gone(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	const struct binary_options options = {.root_pid = getpid()};
	fixture_build_id(fixture_path("chain_gcc5", whole), id);
	fixture_run("cp %s '%s'", whole, path_in(dir, "chain (old).so", path));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	close(fd);
	fixture_run("cp %s/chain_other '%s.new' && mv '%s.new' '%s'", FIXTURE_DIR, path, path,
		    path);
	/* another file of that name, then none */
	for (int gone = 0; gone < 2; gone++) {
		if (gone)
			assert_int_equal(unlink(path), 0);
		struct binary *binary;
		struct cp_err err;
		int rc = binary_open(path, id, &options, &binary, &err);
		assert_int_equal(rc, geteuid() == 0 ? 0 : gone ? -ENOENT : -ESTALE);
		if (rc < 0)
			continue;
		expect_chain(binary, whole);
		binary_close(binary);
	}
	munmap(mapped, 4096);
}

static void test_binary_places__the_executable_of_a_process_when_it_is_gone(void **state)
{
	const char *dir = *state;
	char path[FIXTURE_PATH_MAX], id[FIXTURE_PATH_MAX];
	fixture_run("cp $(readlink -f /bin/sleep) %s", path_in(dir, "sleep", path));
	fixture_build_id(path, id);
	pid_t pid = fork();
	if (pid == 0) {
		execl(path, path, "60", (char *)NULL);
		_exit(1);
	}
	/* it is that program once the link says so */
	char link[64], now[FIXTURE_PATH_MAX] = "";
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	while (strcmp(now, path) != 0) {
		ssize_t n = readlink(link, now, sizeof(now) - 1);
		assert_true(n > 0);
		now[n] = '\0';
	}
	assert_int_equal(unlink(path), 0);
	const struct binary_options options = {.root_pid = pid};
	struct binary *binary = open_binary(path, id, &options);
	assert_true(binary_has_functions(binary));
	binary_close(binary);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* What half of the memory holds is inflated, what no machine has is not: it takes a claim that the
 * compressed bytes could keep. */
static void test_binary_places__sections_that_claim_100_gb_take_no_memory(void **state)
{
	const char *dir = *state;
	char whole[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX];
	const struct symbol_frame *frames;
	const Elf64_Chdr claim = {.ch_type = 2, .ch_size = UINT64_C(100) << 30, .ch_addralign = 1};
	fixture_run("cd %s && head -c 4000000 /dev/zero > zeros && " OBJCOPY
		    " --add-section .debug_big=zeros %s big",
		    dir, fixture_path("chain_gcc5", whole));
	int fd = open(path_in(dir, "big", path), O_RDWR | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	uint8_t *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	const Elf64_Ehdr *ehdr = (const void *)bytes;
	Elf64_Shdr *sections = (void *)(bytes + ehdr->e_shoff);
	for (size_t i = 0; i < ehdr->e_shnum; i++)
		if (sections[i].sh_size == 4000000) {
			sections[i].sh_flags |= SHF_COMPRESSED;
			memcpy(bytes + sections[i].sh_offset, &claim, sizeof(claim));
		}
	munmap(bytes, (size_t)st.st_size);
	close(fd);
	struct binary *binary = open_binary(path, "", NULL);
	assert_non_null(strstr(binary_shortcoming(binary), "more than half of this machine"));
	assert_int_equal(find(binary, fixture_address(whole, "at_last"), &frames), 1);
	assert_string_equal(frames[0].name, "last");
	binary_close(binary);
}

#define WITH_DIR(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, fixture_setup_dir, fixture_teardown_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIR(test_binary_places__sections_compressed_by_zstd),
		WITH_DIR(test_binary_places__zstd_in_the_debug_file_and_in_the_shared_one),
		WITH_DIR(test_binary_places__damaged_zstd_sections_are_no_debug_information),
		WITH_DIR(test_binary_places__minidebuginfo_names_what_stripping_took),
		WITH_DIR(test_binary_places__damaged_minidebuginfo_leaves_the_rest),
		WITH_DIR(test_binary_places__files_truncated_under_us_give_no_signal),
		WITH_DIR(test_binary_places__a_file_written_to_is_known_to_have_changed),
		WITH_DIR(test_binary_places__split_units_beside_and_where_they_were_compiled),
		WITH_DIR(test_binary_places__missing_split_units_are_named),
		WITH_DIR(test_binary_places__split_units_of_another_build_are_not_used),
		WITH_DIR(test_binary_places__what_a_process_has_mapped_when_the_file_is_gone),
		WITH_DIR(test_binary_places__the_executable_of_a_process_when_it_is_gone),
		WITH_DIR(test_binary_places__sections_that_claim_100_gb_take_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
