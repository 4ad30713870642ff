/*
 * heap_missing.h - binaries whose functions or lines a heap report lacks, why, and what would bring
 * them.
 *
 * Depends on: base, heap_analysis.h, remedy.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_MISSING_H
#define CPROF_OUTPUT_HEAP_MISSING_H

#include "heap_analysis.h"

#include <stdbool.h>
#include <stddef.h>

/* The first of the list are looked up. */
enum { HEAP_MISSING_REMEDIES = 10 };

struct heap_missing {
	const char *path, *build_id; /* borrowed from the profile */
	const char *reason;          /* as the symbolizer put it; borrowed; NULL = none */
	char *remedy;                /* a package, a command, a build flag; owned; NULL = none */
	size_t addresses, named;     /* in stacks; of these with a function */
};

struct heap_missing_list {
	struct heap_missing *items; /* most addresses without a function first */
	size_t n;
	const char *note; /* what the remedies presuppose; static; NULL = nothing */
	char *command;    /* that provides it; owned; NULL = none */
};

/**
 * Find them.
 *
 * @remedies: who is asked; NULL = nobody
 * Return: 0 or -ENOMEM; to be deinit'ed either way.
 * Context: @remedies may run a program, see remedy.h.
 */
int heap_missing_find(const struct heap_analysis *analysis, const struct remedy_source *remedies,
		      struct heap_missing_list *out);
void heap_missing_deinit(struct heap_missing_list *list);

#endif
