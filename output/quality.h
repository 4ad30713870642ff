/*
 * quality.h - how far the numbers of a profile can be trusted: losses, incomplete stacks, missing
 * symbols, and what would mend each.
 *
 * Depends on: base, profile. Threads: any.
 */
#ifndef CPROF_OUTPUT_QUALITY_H
#define CPROF_OUTPUT_QUALITY_H

#include "profile/profile.h"

struct quality_module {
	module_id module;
	int64_t samples;  /* whose leaf lies in it */
	double share_pct; /* of all samples */
	bool has_functions, has_lines;
	char *remedy; /* the Debian package, command or build flag that brings symbols; owned */
};

struct quality {
	int64_t samples;
	int64_t complete; /* stacks that reached the root */
	double complete_pct;
	double symbolized_pct; /* samples whose leaf has a function name */
	double lines_pct;      /* ... and a source line */
	uint64_t lost, throttled, untracked;
	int64_t stops[CP_STOP_COUNT];
	uint64_t target_cpu_ns;	 /* 0 = unknown */
	uint64_t sampled_cpu_ns; /* the profile's sum */
	/* CPU time of the targets that could not be sampled, as kernel time was hidden; else 0 */
	uint64_t invisible_cpu_ns;
	double score_pct; /* samples that are complete *and* symbolized, of written + lost: --min-quality */
	struct quality_module *modules; /* without debug information, most samples first */
	size_t n_modules;
	const char *runtime_hints[4]; /* for python, node, java: how to see their own frames */
	size_t n_runtime_hints;
};

/** Return: 0 or -ENOMEM. */
int quality_compute(const struct profile *profile, struct quality **out);
void quality_destroy(struct quality *quality);

#endif
