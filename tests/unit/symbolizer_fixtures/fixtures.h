/*
 * fixtures.h - binaries that the symbolizer's tests look at, and what is known about them from
 * elsewhere: addresses from nm, lines from the marks in their sources.
 */
#ifndef CPROF_TESTS_SYMBOLIZER_FIXTURES_H
#define CPROF_TESTS_SYMBOLIZER_FIXTURES_H

#include <stddef.h>
#include <stdint.h>

enum { FIXTURE_PATH_MAX = 512 };

/** Path of a built fixture. */
const char *fixture_path(const char *name, char buf[FIXTURE_PATH_MAX]);

/** Address of a symbol, by nm. */
uint64_t fixture_address(const char *path, const char *symbol);

/** Line of "MARK(mark)" in a fixture's source. */
uint32_t fixture_line(const char *source, const char *mark);

/** The build-id in hex, by readelf. */
const char *fixture_build_id(const char *path, char buf[FIXTURE_PATH_MAX]);

/** Run a shell command that must succeed. */
void fixture_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** cmocka setup and teardown: *state is a fresh directory, removed afterwards. */
int fixture_setup_dir(void **state);
int fixture_teardown_dir(void **state);

/** Call @test for each name in a list separated by spaces. */
void fixture_each(const char *list, void (*test)(const char *name));

#endif
