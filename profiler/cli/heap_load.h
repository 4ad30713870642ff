/*
 * heap_load.h - a heap file as the commands want it: read, with its stacks symbolized.
 *
 * Depends on: heap, output, profile, load.h. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_LOAD_H
#define CPROF_CLI_HEAP_LOAD_H

#include "heap/heap_profile.h"
#include "heap/heap_target.h"
#include "profile/profile.h"

#include <stdbool.h>

struct heap_loaded {
	struct heap_file file;
	struct heap_snapshot *snapshot;
	struct heap_target target;
	struct profile *profile; /* stacks, no samples */
	stack_id *stacks;        /* by site */
};

/* In the order of enum heap_value. */
#define HEAP_LOAD_VALUES "live|peak|bytes|calls"

/** True when the file at @path begins as a heap file does. */
bool heap_load_is_one(const char *path);

/**
 * Read an open file and look its names up.
 *
 * @file:    now the loaded one's, also on failure
 * @symbols: false: only the numbers are wanted
 * Return: 0 or -errno with a message; nothing to release then.
 */
int heap_load(struct heap_file *file, bool symbols, struct heap_loaded *out, struct cp_err *err);
void heap_loaded_deinit(struct heap_loaded *loaded);

/**
 * A heap file as a profile with samples, for the views of profiles. Without what the built-in
 * suppressions of reports take out, but for HEAP_VALUE_ALL; HEADER_HEAP_SUPPRESSED tells how much.
 *
 * Return: the profile, the caller's; NULL on failure, message printed.
 */
struct profile *heap_load_profile(const char *path, enum heap_value value);

/**
 * load_with_names(), or heap_load_profile() when the file is a heap file.
 *
 * @value: enum heap_value; -1 = not given: HEAP_VALUE_LIVE. Other files have none to choose from
 */
struct profile *heap_load_any(const char *path, int value);

#endif
