/*
 * flame_tree.h - the merged call tree: what a flame graph draws, one node per distinct call path.
 *
 * Below the root come the processes (comm); below a process a marker like `[truncated]` for the
 * stacks that did not reach their thread's root, so that a cut stack is never merged with a whole
 * one; below that the functions, outermost first. Two frames are one node when they agree in
 * function, source file, module and flags; the line may differ, and the node shows the line with
 * the most samples. Every sample is the self value of exactly one node, so a node's total is its
 * self plus its children's totals and the root's total is the whole.
 *
 * Depends on: base, profile, frames.h, measure.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_FLAME_TREE_H
#define CPROF_OUTPUT_FLAME_TREE_H

#include "base/err.h"
#include "frames.h"
#include "measure.h"
#include "profile/profile.h"

#define FLAME_ROOT 0u         /* the node that is every other's ancestor */
#define FLAME_NONE UINT32_MAX /* no such node */

enum flame_kind {
	FLAME_KIND_ROOT,
	FLAME_KIND_COMM,
	FLAME_KIND_JOINED, /* below it the stacks whose outer part is not of the sample's moment */
	FLAME_KIND_INFERRED, /* below it the stacks that were concluded and not seen */
	FLAME_KIND_STOP,
	FLAME_KIND_FRAME
};

struct flame_node {
	enum flame_kind kind;
	uint32_t depth; /* 0 = the root */
	union {
		string_id comm;            /* KIND_COMM, in the profile's strings; may be "" */
		enum cp_inferred inferred; /* KIND_INFERRED */
		enum cp_stop stop;         /* KIND_STOP */
		frame_id frame; /* KIND_FRAME: of all the function's frames here the hottest */
	};
	uint32_t parent;       /* below this node's own index; FLAME_NONE for the root */
	uint32_t first_child;  /* FLAME_NONE = a leaf */
	uint32_t next_sibling; /* siblings are in the order of their names, markers first */
	uint32_t n_children;
	int64_t self, total; /* in the tree's measure; total > 0 */
};

struct flame_tree {
	const struct profile *profile; /* borrowed */
	struct frames *frames;         /* owned */
	struct flame_node *nodes;      /* parents before children */
	size_t n, cap;
	struct measure measure;     /* the value that is summed */
	uint32_t max_depth;         /* of a node */
	uint64_t negative_left_out; /* samples of foreign profiles (differences) with a value < 0 */
};

/**
 * Build the tree of a profile, which must outlive it.
 *
 * @thread_re: extended regular expression over the comm and the name of a sample's thread;
 *             NULL = all
 * Return: 0; -EINVAL: wrong expression; -ENODATA: no samples, or none of a matching thread;
 *         -ERANGE: the values' sum overflows; -ENOMEM; always with a message.
 */
int flame_tree_create(const struct profile *profile, const char *thread_re, struct flame_tree **out,
		      struct cp_err *err);
void flame_tree_destroy(struct flame_tree *tree);

/** The text of a node for people, without line. Borrowed, valid with the tree. */
const char *flame_tree_name(const struct flame_tree *tree, const struct flame_node *node);

#endif
