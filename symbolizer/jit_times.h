/*
 * jit_times.h - samples in generated code get the name of what was there when they were taken.
 *
 * Runtimes reuse memory: at one address there are several functions, one after another, and a
 * location of the profile is an address. A jitdump has the times, and samples have theirs. So where
 * code came after the sample was taken, the sample's stack gets another location: of the same
 * address, in a module of its own with the range of the code that was there before. What shows at
 * the end keeps the first location, which is looked up as any other.
 *
 * Without times (a perf map; a profile without a timeline) the last name stays, and that is told.
 *
 * Depends on: base, profile, jit_files, jitdump, perf_map. Threads: the profile's owner.
 */
#ifndef CPROF_SYMBOLIZER_JIT_TIMES_H
#define CPROF_SYMBOLIZER_JIT_TIMES_H

#include "jit_files.h"
#include "profile/profile.h"

struct jit_times_note {
	string_id path;  /* of the module */
	size_t n;        /* addresses in doubt */
	const char *why; /* static */
};

/* What could not be told apart. */
struct jit_times {
	struct jit_times_note *notes;
	size_t n, cap;
};

void jit_times_deinit(struct jit_times *times);

/**
 * Tell them apart, before names are looked up. What is made here has its names; what an earlier
 * run has named or told apart stays so.
 *
 * @files: what is held of the processes, or NULL
 * @times: empty; the caller's, also on failure
 * Return: 0, -ENOMEM, -EOVERFLOW.
 */
int jit_times_split(struct profile *profile, const struct jit_files *files,
		    struct jit_times *times);

/** Put what is in doubt into the header, where nothing else is wanting. Return: 0, -ENOMEM. */
int jit_times_tell(const struct jit_times *times, struct profile *profile);

#endif
