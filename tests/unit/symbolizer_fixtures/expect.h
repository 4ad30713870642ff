/*
 * expect.h - what the symbolizer must find in the fixtures: shared by the tests of binary.c.
 *
 * Depends on: cmocka, fixtures.h. Threads: one.
 */
#ifndef CPROF_TESTS_SYMBOLIZER_EXPECT_H
#define CPROF_TESTS_SYMBOLIZER_EXPECT_H

#include "fixtures.h"
#include "symbolizer/binary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* cmocka wants the above first */
#include <cmocka.h>

static inline struct binary *open_binary(const char *path, const char *build_id,
					 const struct binary_options *options)
{
	const struct binary_options none = {0};
	struct binary *binary;
	struct cp_err err;
	int rc = binary_open(path, build_id, options ? options : &none, &binary, &err);
	if (rc < 0)
		fail_msg("%s: %s", path, err.message);
	return binary;
}

static inline size_t find(struct binary *binary, uint64_t svma, const struct symbol_frame **frames)
{
	size_t n;
	assert_int_equal(binary_find(binary, svma, frames, &n), 0);
	return n;
}

static inline void expect_frame(const struct symbol_frame *frame, const char *name,
				const char *source, const char *mark)
{
	char file[FIXTURE_PATH_MAX];
	snprintf(file, sizeof(file), "%s/%s", FIXTURE_SOURCE_DIR, source);
	assert_string_equal(frame->name, name);
	assert_string_equal(frame->file, file);
	assert_int_equal(frame->line, fixture_line(source, mark));
}

/* The chain at the label in chain.c's innermost function, with its lines. */
static inline void expect_chain(struct binary *binary, const char *symbols_of)
{
	const struct symbol_frame *frames;
	assert_int_equal(find(binary, fixture_address(symbols_of, "at_innermost"), &frames), 3);
	expect_frame(&frames[0], "innermost", "chain.c", "innermost");
	expect_frame(&frames[1], "middle", "chain.c", "middle");
	expect_frame(&frames[2], "outer", "chain.c", "outer");
	assert_string_equal(frames[2].system_name, "outer");
	/* each function starts two or three lines above its marked one */
	assert_int_equal(frames[0].start_line, fixture_line("chain.c", "innermost") - 2);
	assert_int_equal(frames[1].start_line, fixture_line("chain.c", "middle") - 3);
	assert_int_equal(frames[2].start_line, fixture_line("chain.c", "outer") - 3);
	assert_int_equal(find(binary, fixture_address(symbols_of, "at_last"), &frames), 1);
	expect_frame(&frames[0], "last", "chain.c", "last");
}

#endif
