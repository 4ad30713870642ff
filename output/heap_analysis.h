/*
 * heap_analysis.h - the numbers behind a heap report: sites with what is live of them, who is in
 * charge, how they grow; and the rows they are grouped into.
 *
 * Each live block goes to one place: a suppression's, the too young, the ones that the earlier copy
 * has too, or its site's row. What was allocated in all is a site's whatever is filtered.
 *
 * Depends on: base, profile, heap, frames.h, heap_blame.h, heap_report.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_HEAP_ANALYSIS_H
#define CPROF_OUTPUT_HEAP_ANALYSIS_H

#include "frames.h"
#include "heap/heap_growth.h"
#include "heap_blame.h"
#include "heap_report.h"

struct heap_sum {
	double blocks, bytes; /* whole numbers in exact mode */
	double blocks_variance, bytes_variance;
	uint64_t raw; /* blocks in the table */
};

/* A site, or several put together. */
struct heap_row {
	const char *name;     /* borrowed, or made: "tid 7", "[libx.so+0x1234]" */
	const char *function; /* by site: of the frame in charge, without an address */
	const char *file;     /* source of the frame in charge, "" = unknown */
	const char *module;
	uint32_t line;
	struct heap_sum live;
	double peak_blocks, peak_bytes, allocs, alloc_bytes, temporary, frees;
	double allocs_variance, alloc_bytes_variance;
	uint64_t raw_allocs;
	uint64_t oldest_ns; /* age; meaningful with live blocks */
	uint32_t n_threads;
	uint32_t site;             /* the first one's */
	uint32_t in_charge;        /* by site: index in its frames */
	uint32_t rule;             /* that takes its live blocks out; HEAP_RULE_NONE */
	bool complete;             /* by site */
	struct heap_growth growth; /* by site, and of places */
	double rise; /* of places, bytes per second: of steady growth, or since the earlier copy */
	uint32_t n_stacks; /* of places: that have live blocks */
};

struct heap_analysis {
	const struct heap_input *input;
	const struct heap_report_options *options;
	struct frames *frames;
	struct heap_blame blame;
	struct heap_row *sites; /* by site; [n_sites] */
	uint32_t n_sites;
	/* sites with live blocks by the source line in charge: first those that grow, then those
	 * that rose, by rate, then the others by live bytes */
	struct heap_row *places;
	size_t n_places, cap_places;
	struct heap_row *rows; /* as asked for, sorted; only such as have something to show */
	size_t n_rows, cap_rows;
	char **made_names; /* owned, of rows */
	size_t n_made, cap_made;

	struct heap_sum all;  /* live, whatever is filtered */
	struct heap_sum kept; /* of the rows */
	struct heap_sum suppressed;
	struct heap_sum too_young;
	struct heap_sum before; /* also in the earlier copy */
	double allocs, alloc_bytes, frees, free_bytes, temporary, peak_blocks, site_peak_bytes;
	double allocs_variance, alloc_bytes_variance;
	uint64_t raw_allocs;
	uint64_t oldest_ns;        /* of all live blocks */
	size_t n_used_sites;       /* that allocated */
	size_t n_kept_sites;       /* that have live blocks after the filters */
	size_t n_growing;          /* places */
	double growing_rate;       /* their sum, bytes per second */
	double growing_mean;       /* of their means */
	double most_rate;          /* were all that was allocated after the first quarter to stay */
	struct heap_growth growth; /* of everything that is live after the filters */
	bool growth_by_since;

	/* the frames of one site and where they are: heap_analysis_stack() */
	frame_id *stack;
	location_id *stack_at;
	size_t cap_stack, cap_stack_at;
	char **address_names; /* by location, of those without a function; made when asked for */
};

/** Return: 0; -EINVAL (the copies are of different processes), -ENOMEM; with a message. */
int heap_analysis_create(const struct heap_input *input, const struct heap_report_options *options,
			 struct heap_analysis **out, struct cp_err *err);
void heap_analysis_destroy(struct heap_analysis *analysis);

/**
 * The frames of a site, innermost first.
 *
 * @out: borrowed until the next call
 * Return: how many, or -ENOMEM.
 */
long heap_analysis_stack(struct heap_analysis *analysis, uint32_t site, const frame_id **out);

/**
 * The name of a frame of the site that heap_analysis_stack() was last asked about.
 *
 * Return: the function, else "[libx.so+0x1234]": the address is that of the ELF file, as addr2line
 * takes it. Valid with @analysis.
 */
const char *heap_analysis_name(struct heap_analysis *analysis, size_t i);

/** Count a block. */
void heap_sum_add(struct heap_sum *sum, const struct heap_weight *weight);

/** The half width of the 95 % interval of an estimate. */
double heap_half_width(double variance);

/** When the numbers were last right is not known: no age and no growth can be judged by them. */
bool heap_end_unknown(const struct heap_analysis *analysis);

#endif
