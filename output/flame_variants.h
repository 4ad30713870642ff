/*
 * flame_variants.h - which frames are the same function, and which of its lines a node shows.
 *
 * Frames that differ in nothing but the line are variants of one function. A node of the call tree
 * stands for a function, and shows the variant through which most of its samples passed.
 *
 * Used by flame_tree.c only. Depends on: base, frames.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_FLAME_VARIANTS_H
#define CPROF_OUTPUT_FLAME_VARIANTS_H

#include "base/index.h"
#include "frames.h"

/* How much of a node's total went through one of its function's frames. */
struct flame_variant {
	uint32_t node;
	frame_id frame;
	int64_t total;
};

struct flame_variants {
	const struct frames *frames;
	uint32_t *function_of;    /* by frame: dense numbers of functions */
	frame_id *representative; /* by function: its first frame */
	bool *several;            /* by function: it has more than one frame */
	uint32_t n_functions;
	struct cp_index functions;
	struct flame_variant *counts; /* of functions with several frames only */
	size_t n_counts, cap_counts;
	struct cp_index count_index;
};

/** Return: 0 or -ENOMEM; to be deinit'ed in both cases. */
int flame_variants_init(struct flame_variants *variants, const struct frames *frames);

/** An all-zero struct may be deinit'ed too. */
void flame_variants_deinit(struct flame_variants *variants);

/** Add to what passed through @frame at @node. Return: 0 or -ENOMEM. */
int flame_variants_count(struct flame_variants *variants, uint32_t node, frame_id frame,
			 int64_t value);

/**
 * Order @counts by node, and for each node the one to show first: most samples, then lowest line.
 * No counting afterwards.
 */
void flame_variants_sort(struct flame_variants *variants);

/**
 * By function, its place in the order of (name, file, module, flags).
 *
 * Return: n_functions numbers to be freed by the caller (at least one element); NULL = out of
 *         memory.
 */
uint32_t *flame_variants_rank(const struct flame_variants *variants);

#endif
