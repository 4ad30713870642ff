/*
 * heap_report_made.h - heap files from heap_builder.h, read, with names given to their stacks, and
 * reported on.
 *
 * Addresses 0x40N000 are function number N of "/usr/bin/built", at line N * 10 of src/a.c.
 *
 * Depends on: heap_builder.h, heap, output, jansson, cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_HEAP_REPORT_MADE_H
#define CPROF_TESTS_HEAP_REPORT_MADE_H

#include "heap/heap_profile.h"
#include "heap_builder.h"
#include "output/heap_report.h"

#include <jansson.h>
#include <stdio.h>

/* A heap file, read, and with names given by the test. */
struct made {
	struct heap_build build;
	struct heap_snapshot *snapshot;
	struct heap_target target;
	struct profile *profile;
	stack_id *stacks;
	struct heap_suppressions rules;
	struct heap_input input;
};

static inline void name_location(struct profile *profile, uint32_t location, const char *name,
				 const char *file, uint32_t line)
{
	struct profile_function function = {0};
	struct profile_line entry = {.line = line};
	assert_int_equal(profile_string(profile, name, &function.name), 0);
	assert_int_equal(profile_string(profile, file, &function.file), 0);
	assert_int_equal(profile_add_function(profile, &function, &entry.function), 0);
	assert_int_equal(profile_set_lines(profile, (location_id){location}, &entry, 1), 0);
}

/* Addresses 0x40N000 are function number N. */
static inline void name_all(struct profile *profile)
{
	static const char *const names[] = {"?", "main", "parse", "xmalloc", "cache"};
	for (uint32_t i = 0; i < profile->n_locations; i++) {
		const uint64_t n = profile->locations[i].svma >> 12;
		if (n < 5)
			name_location(profile, i, names[n], "src/a.c", (uint32_t)n * 10);
	}
}

/** Read the file that was built, as of a process that exited after 100 s. */
static inline void finish(struct made *made)
{
	struct cp_err err = {""};
	if (heap_snapshot_read_bytes(made->build.bytes, made->build.n, &made->snapshot, &err))
		fail_msg("%s", err.message);
	assert_int_equal(heap_profile_create(made->snapshot, &made->profile, &made->stacks, NULL),
			 0);
	name_all(made->profile);
	assert_int_equal(heap_suppressions_init(&made->rules), 0);
	made->target = (struct heap_target){.state = HEAP_TARGET_EXITED, .now_ns = 100000000000};
	made->input = (struct heap_input){
		.snapshot = made->snapshot,
		.target = &made->target,
		.path = "built.cprof-heap",
		.profile = made->profile,
		.stacks = made->stacks,
		.rss_unknown = "a test",
		.rules = &made->rules,
	};
}

static inline void release(struct made *made)
{
	heap_suppressions_deinit(&made->rules);
	profile_destroy(made->profile);
	free(made->stacks);
	heap_snapshot_destroy(made->snapshot);
	build_heap_free(&made->build);
}

/* Site 1: main -> parse -> xmalloc. Site 2: main -> cache. Site 3: main -> parse. */
static inline struct made begin(uint64_t sample_bytes)
{
	struct made made = {.build = build_heap(sample_bytes)};
	const uint16_t exe = build_heap_module(&made.build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&made.build, 0, 0x401000, exe, 0);
	const uint32_t parse = build_heap_node(&made.build, main_node, 0x402000, exe, 0);
	build_heap_site(&made.build, build_heap_node(&made.build, parse, 0x403000, exe, 0));
	build_heap_site(&made.build, build_heap_node(&made.build, main_node, 0x404000, exe, 0));
	build_heap_site(&made.build, parse);
	return made;
}

/* What was live of a place then and now, at the seconds 50 and 100. */
struct turn {
	struct made then, now;
};

static inline void begin_turn(struct turn *turn, uint64_t sample_bytes)
{
	*turn = (struct turn){.then = begin(sample_bytes), .now = begin(sample_bytes)};
}

static inline void finish_turn(struct turn *turn)
{
	finish(&turn->then);
	finish(&turn->now);
	turn->then.target.now_ns = 50000000000;
	turn->now.input.since = turn->then.snapshot;
	turn->now.input.since_target = &turn->then.target;
	turn->now.input.since_path = "t0";
}

static inline void release_turn(struct turn *turn)
{
	release(&turn->now);
	release(&turn->then);
}

/* A leak of 100 bytes a second for 100 s, a cache filled at the start, a block of the last second.
 */
static inline void make_leaking(struct made *made)
{
	*made = begin(0);
	for (uint32_t s = 0; s < 100; s++)
		build_heap_alloc(&made->build, 1, 100, s * 100, s % 2 ? 11 : 12);
	build_heap_alloc(&made->build, 2, 50000, 20, 11);
	build_heap_alloc(&made->build, 3, 7, 9950, 11);
	build_heap_churn(&made->build, 3, 1000, 16);
	finish(made);
}

/** The report as JSON; @gate may be NULL. The caller releases it. */
static inline json_t *report_json_of(struct made *made, struct heap_report_options options,
				     enum heap_gate_result *gate)
{
	char *text = NULL;
	size_t n = 0;
	struct cp_err err = {""};
	json_error_t error;
	enum heap_gate_result ignored;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	options.format = REPORT_JSON;
	const int rc = heap_report_write(&made->input, &options, out, gate ? gate : &ignored, &err);
	fclose(out);
	if (rc)
		fail_msg("%s", err.message);
	json_t *json = json_loads(text, 0, &error);
	if (!json)
		fail_msg("%s: %s", error.text, text);
	free(text);
	return json;
}

static inline json_int_t number(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	if (!json_is_integer(value))
		fail_msg("%s is no integer", key);
	return json_integer_value(value);
}

static inline const char *string(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	if (!value)
		fail_msg("%s is no string", key);
	return value;
}

/** What the gates of a report say. */
static inline enum heap_gate_result gate_of(struct made *made, struct heap_report_options options)
{
	enum heap_gate_result gate;
	json_decref(report_json_of(made, options, &gate));
	return gate;
}

/** A report with the gate on what is not freed. The caller frees it. */
static inline char *text_of(struct made *made, enum report_format format)
{
	char *text = NULL;
	size_t n = 0;
	enum heap_gate_result gate;
	FILE *out = open_memstream(&text, &n);
	assert_non_null(out);
	const struct heap_report_options options = {
		.format = format, .fail_on_unfreed = true, .width = 140};
	assert_int_equal(heap_report_write(&made->input, &options, out, &gate, NULL), 0);
	fclose(out);
	return text;
}

static inline void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

#endif
