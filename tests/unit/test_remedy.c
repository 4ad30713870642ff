#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/remedy.h"

#include <stdlib.h>
#include <string.h>

/* A system with a given package database: path and package, in pairs. */
struct fake_system {
	const char *const *owned; /* NULL = no database at all */
	const char *missing;      /* a path that does not exist */
	size_t asked;
};

static bool fake_packages(void *ctx, const char *const *paths, size_t n, char **packages)
{
	struct fake_system *fake = ctx;
	fake->asked += n;
	if (!fake->owned)
		return false;
	for (size_t i = 0; i < n; i++) {
		for (const char *const *pair = fake->owned; pair[0]; pair += 2) {
			if (strcmp(pair[0], paths[i]) == 0)
				packages[i] = strdup(pair[1]);
		}
	}
	return true;
}

static bool fake_exists(void *ctx, const char *path)
{
	const struct fake_system *fake = ctx;
	return !fake->missing || strcmp(fake->missing, path) != 0;
}

static struct remedy_note find(struct fake_system *fake, const char *os_id, const char *codename,
			       struct remedy_request *requests, size_t n)
{
	struct remedy_source source = {fake_packages, fake_exists, fake, os_id, codename};
	struct remedy_note note;
	remedy_find(&source, requests, n, &note);
	return note;
}

static void release(struct remedy_request *requests, size_t n, struct remedy_note *note)
{
	for (size_t i = 0; i < n; i++)
		free(requests[i].remedy);
	free(note->command);
}

static void test_remedy__debian_packages_by_their_names(void **state)
{
	(void)state;
	static const char *const owned[] = {
		"/lib/libc.so.6",
		"libc6",
		"/bin/python3.11",
		"python3.11-minimal",
		"/lib/libpython3.11.so.1.0",
		"libpython3.11",
		"/lib/libjvm.so",
		"openjdk-17-jre-headless",
		"/lib/libssl.so.3",
		"libssl3",
		"/lib/libgirepository.so",
		"python3-gi",
		NULL,
	};
	static const char *const expected[] = {
		"apt install libc6-dbg",      "apt install python3.11-dbg",
		"apt install python3.11-dbg", "apt install openjdk-17-dbg",
		"apt install libssl3-dbgsym", "apt install python3-gi-dbgsym",
	};
	struct remedy_request requests[6] = {0};
	for (size_t i = 0; i < 6; i++) {
		requests[i].path = owned[2 * i];
		requests[i].build_id = "";
	}
	struct fake_system fake = {.owned = owned};
	struct remedy_note note = find(&fake, "debian", "bookworm", requests, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(requests[i].remedy, expected[i]);
	assert_non_null(note.text);
	assert_string_equal(note.command,
			    "echo 'deb http://deb.debian.org/debian-debug bookworm-debug main' > "
			    "/etc/apt/sources.list.d/debug.list && apt update");
	release(requests, 6, &note);
}

static void test_remedy__main_archive_needs_no_note(void **state)
{
	(void)state;
	static const char *const owned[] = {"/lib/libc.so.6", "libc6", NULL};
	struct remedy_request request = {.path = "/lib/libc.so.6", .build_id = ""};
	struct fake_system fake = {.owned = owned};
	struct remedy_note note = find(&fake, "debian", "bookworm", &request, 1);
	assert_string_equal(request.remedy, "apt install libc6-dbg");
	assert_null(note.text);
	assert_null(note.command);
	release(&request, 1, &note);
}

static void test_remedy__archive_of_other_systems(void **state)
{
	(void)state;
	static const char *const owned[] = {"/lib/libz.so.1", "zlib1g", NULL};
	struct remedy_request request = {.path = "/lib/libz.so.1", .build_id = ""};
	struct fake_system fake = {.owned = owned};
	struct remedy_note note = find(&fake, "ubuntu", "jammy", &request, 1);
	assert_non_null(strstr(note.command, "http://ddebs.ubuntu.com jammy main"));
	release(&request, 1, &note);
	request.remedy = NULL;
	note = find(&fake, "", "", &request, 1);
	assert_non_null(note.text);
	assert_null(note.command);
	release(&request, 1, &note);
}

static void test_remedy__files_of_no_package(void **state)
{
	(void)state;
	static const char *const owned[] = {NULL};
	struct remedy_request requests[] = {
		{.path = "/opt/app", .build_id = "abcd", .has_functions = true},
		{.path = "/opt/stripped", .build_id = "abcd"},
		{.path = "/gone", .build_id = "abcd"},
		{.path = "relative", .build_id = ""},
		{.path = "[kernel.kallsyms]", .build_id = ""},
		{.path = "[jit:4711]", .build_id = ""},
	};
	struct fake_system fake = {.owned = owned, .missing = "/gone"};
	struct remedy_note note = find(&fake, "debian", "bookworm", requests, 6);
	assert_string_equal(requests[0].remedy, "build it with -g");
	assert_string_equal(requests[1].remedy, "stripped: build it with -g and keep its symbols");
	assert_string_equal(requests[2].remedy,
			    "the file is not on this machine: symbolize where the program runs");
	assert_string_equal(requests[3].remedy, "build it with -g");
	assert_non_null(strstr(requests[4].remedy, "kernel.kptr_restrict=0"));
	assert_non_null(strstr(requests[5].remedy, "/tmp/perf-4711.map"));
	assert_int_equal(fake.asked, 6);
	assert_null(note.text);
	release(requests, 6, &note);
}

static void test_remedy__reasons_that_no_package_does_away_with(void **state)
{
	(void)state;
	static const char *const owned[] = {"/lib/libz.so.1", "libz1", NULL};
	struct remedy_request requests[] = {
		{.path = "/lib/libz.so.1", .build_id = "", .reason = "no debug information"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "left: 'cprof symbolize' goes on"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "split debug information is missing or of another build: /x.dwo"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "its split debug information is in /x.dwp, which elfutils 0.188 cannot"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "the file on disk is another build (build-id 00)"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "written to after, and no build-id to compare: names may be of"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "its debug information is damaged (.debug_line): names may be wanting"},
		{.path = "/lib/libz.so.1",
		 .build_id = "",
		 .reason = "its split debug information lies below another root, where it takes "
			   "CAP_SYS_CHROOT to open it"},
	};
	struct fake_system fake = {.owned = owned, .missing = "/gone"};
	struct remedy_note note = find(&fake, "debian", "bookworm", requests, 8);
	assert_string_equal(requests[0].remedy, "apt install libz1-dbgsym");
	assert_null(requests[1].remedy);
	assert_non_null(strstr(requests[2].remedy, "-gno-split-dwarf"));
	assert_non_null(strstr(requests[3].remedy, "elfutils 0.191"));
	assert_non_null(strstr(requests[4].remedy, "--debug-dir"));
	assert_non_null(strstr(requests[5].remedy, "--build-id"));
	assert_string_equal(requests[6].remedy, "install or build it anew");
	assert_non_null(strstr(requests[7].remedy, "record it as root"));
	release(requests, 8, &note);
}

static void test_remedy__without_a_package_database_the_build_id_helps(void **state)
{
	(void)state;
	struct remedy_request requests[] = {
		{.path = "/opt/app", .build_id = "abcd0123", .has_functions = true},
		{.path = "/opt/other", .build_id = "", .has_functions = true},
	};
	struct fake_system fake = {.owned = NULL};
	struct remedy_note note = find(&fake, "fedora", "", requests, 2);
	assert_string_equal(requests[0].remedy,
			    "build it with -g, or: debuginfod-find debuginfo abcd0123");
	assert_string_equal(requests[1].remedy, "build it with -g");
	assert_null(note.text);
	release(requests, 2, &note);
}

static void test_remedy__after_a_fetch_that_failed_it_says_how_to_go_on(void **state)
{
	(void)state;
	struct remedy_request requests[] = {
		{.path = "/opt/a", .reason = "no debug information; debuginfod: no server has it"},
		{.path = "/opt/b",
		 .reason = "no debug information; debuginfod: no answer, and the time limit is "
			   "used up: 60 s"},
		{.path = "/opt/c",
		 .reason = "no debug information; debuginfod: no answer from the server: "
			   "Connection refused"},
		{.path = "/opt/d",
		 .reason = "no debug information; debuginfod: the fetch failed: Connection reset"},
	};
	static const char *const expected[] = {
		"build it with -g",
		"build it with -g, or: cprof symbolize --debuginfod-limit 10m gives the server "
		"more time",
		"build it with -g, or: cprof symbolize --debuginfod=URL asks another server, or "
		"this one again",
		"build it with -g, or: cprof symbolize --debuginfod=URL asks another server, or "
		"this one again",
	};
	struct fake_system fake = {.owned = NULL};
	for (size_t i = 0; i < 4; i++) {
		requests[i].build_id = "abcd0123";
		requests[i].has_functions = true;
	}
	struct remedy_note note = find(&fake, "fedora", "", requests, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(requests[i].remedy, expected[i]);
	release(requests, 4, &note);
}

/* On the system that runs the tests; whatever it is, odd names must come to no harm. */
static void test_remedy__system_source_survives_odd_paths(void **state)
{
	(void)state;
	const struct remedy_source *source = remedy_system();
	const char *paths[] = {"/*", "relative", "", "-L", "/no/such file;rm", "[vdso]", "/a\nb"};
	char *packages[7] = {0};
	source->find_packages(source->ctx, paths, 7, packages);
	for (size_t i = 0; i < 7; i++)
		assert_null(packages[i]);
	assert_true(source->file_exists(source->ctx, "/"));
	assert_false(source->file_exists(source->ctx, "/no/such/file"));
}

/* Every Debian system has libc, under one of the two names of a merged /usr. */
static void test_remedy__system_source_knows_both_names_of_a_merged_usr(void **state)
{
	(void)state;
	const struct remedy_source *source = remedy_system();
	const char *paths[] = {"/usr/bin/dpkg-query", "/bin/dpkg-query"};
	char *packages[2] = {0};
	if (!source->find_packages(source->ctx, paths, 2, packages)) {
		/* no dpkg here: then it must not be there to be asked */
		assert_false(source->file_exists(source->ctx, "/usr/bin/dpkg-query"));
		return;
	}
	assert_string_equal(packages[0], "dpkg");
	assert_string_equal(packages[1], "dpkg");
	assert_true(strcmp(source->os_id, "") != 0);
	free(packages[0]);
	free(packages[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remedy__debian_packages_by_their_names),
		cmocka_unit_test(test_remedy__main_archive_needs_no_note),
		cmocka_unit_test(test_remedy__archive_of_other_systems),
		cmocka_unit_test(test_remedy__files_of_no_package),
		cmocka_unit_test(test_remedy__reasons_that_no_package_does_away_with),
		cmocka_unit_test(test_remedy__without_a_package_database_the_build_id_helps),
		cmocka_unit_test(test_remedy__after_a_fetch_that_failed_it_says_how_to_go_on),
		cmocka_unit_test(test_remedy__system_source_survives_odd_paths),
		cmocka_unit_test(test_remedy__system_source_knows_both_names_of_a_merged_usr),
	};
	return cmocka_run_group_tests_name("remedy", tests, NULL, NULL);
}
