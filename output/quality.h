/*
 * quality.h - how far the numbers of a profile can be trusted: losses, incomplete stacks, missing
 * symbols, and what would mend each.
 *
 * Depends on: base, profile, measure.h, remedy.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_QUALITY_H
#define CPROF_OUTPUT_QUALITY_H

#include "measure.h"
#include "profile/profile.h"
#include "remedy.h"

/* Only the first modules of the list, and only from this share on, are looked up. */
enum { QUALITY_MAX_REMEDIES = 10 };
#define QUALITY_REMEDY_PCT 0.5

struct quality_module {
	module_id module;            /* the first of its path and build-id */
	const char *path, *build_id; /* borrowed from the profile */
	int64_t samples;             /* whose leaf lies in it */
	double share_pct;            /* of all samples */
	bool has_functions, has_lines;
	const char *reason; /* why symbolization failed; borrowed from the header; NULL = unknown */
	char *remedy; /* the Debian package, command or build flag that brings symbols; NULL = none
		       */
};

/* Where stacks ended early: in the module of their outermost frame, for one reason. */
struct quality_end {
	enum cp_stop stop;
	const char *path, *build_id; /* borrowed from the profile */
	int64_t samples;
	double share_pct; /* of all samples */
};

/*
 * "Samples" are in the unit of the profile's measure: samples, or for foreign profiles without
 * such a column whatever they count.
 */
struct quality {
	int64_t samples;
	int64_t complete;       /* stacks that reached the root, joined and too deep ones too */
	int64_t complete_alone; /* of these without joined ones */
	int64_t too_deep;       /* of these: root and leaf are there, the middle is left out */
	int64_t joined[CP_JOINED_COUNT];
	int64_t inferred[CP_INFERRED_COUNT];
	int64_t counted; /* samples, also where a time is counted */
	int64_t kernel;  /* whose leaf is in the kernel */
	double complete_pct, complete_alone_pct, too_deep_pct, joined_pct, inferred_pct;
	double symbolized_pct; /* samples whose leaf has a function name */
	double lines_pct;      /* ... and a source line */
	uint64_t lost, throttled, untracked;
	/* The lost may have been of other programs on the same CPUs: they are no more of the
	 * target's than the CPU time that was not covered would have given. */
	bool lost_of_cpus;
	uint64_t lost_most;        /* samples of the target, at most */
	double lost_pct;           /* lost_most of written + lost_most, as numbers of samples */
	uint64_t uncovered_cpu_ns; /* of the targets; 0 = none, or unknown */
	int64_t stops[CP_STOP_COUNT];
	struct quality_end *ends; /* of incomplete stacks, most samples first */
	size_t n_ends;
	uint64_t target_cpu_ns;  /* 0 = unknown */
	uint64_t sampled_cpu_ns; /* the profile's sum; 0 = not a CPU profile */
	/* CPU time of the targets that could not be sampled, as kernel time was hidden; else 0 */
	uint64_t invisible_cpu_ns;
	double fp_frames_pct; /* of the user frames: found without CFI: by frame pointer or code */
	/* complete *and* symbolized samples, of written + lost_most + untracked: --min-quality */
	double score_pct;
	struct quality_module *modules; /* without debug information, most samples first */
	size_t n_modules;
	const char *remedy_note; /* what the remedies presuppose; static; NULL = nothing */
	char *remedy_command;    /* that provides it; owned; NULL = none */
	char *runtime_hints[4];  /* for python, node, java: how to see their own frames; owned */
	size_t n_runtime_hints;
};

/**
 * Judge a profile.
 *
 * Return: 0; -ENODATA: it holds no samples; -ENOMEM.
 * Context: may run dpkg-query to name packages; see remedy.h.
 */
int quality_compute(const struct profile *profile, struct quality **out);

/** The same with another source of remedies; NULL = no remedies, nothing is looked up. */
int quality_compute_from(const struct profile *profile, const struct remedy_source *source,
			 struct quality **out);
void quality_destroy(struct quality *quality);

/**
 * Part of quality_compute(): fill in the ends.
 *
 * A stack of more frames than are kept (CP_STOP_DEPTH) did reach its root, and has none.
 * Return: 0, -ENOMEM.
 */
int quality_find_ends(const struct profile *profile, const struct measure *measure,
		      struct quality *quality);

#endif
