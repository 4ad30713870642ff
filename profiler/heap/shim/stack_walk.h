/*
 * stack_walk.h - the stack of the running thread, as a node of the tree.
 *
 * Frames are found by unwind information, one cached rule a frame. Most stacks share all but a few
 * frames with the one before, so a thread remembers its last stack. When the walk meets a frame of
 * it (same stack pointer, pc and rbp), what the remembered frames outside of it were computed from
 * is compared with memory, word by word: return addresses and saved rbps. If all of it is the same,
 * so is the stack, and its node is known; nothing is taken on trust.
 *
 * Depends on: heap_file.h, node_table.h, rule_cache.h, stack_bounds.h. Threads: one walker each.
 */
#ifndef CPROF_HEAP_SHIM_STACK_WALK_H
#define CPROF_HEAP_SHIM_STACK_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "node_table.h"
#include "rows/cfi_step.h"
#include "rule_cache.h"
#include "stack_bounds.h"

/*
 * Whole words, each stored and loaded as such: a frame is read back a few nanoseconds after it was
 * written, and a load that spans several stores would wait for all of them to reach the cache.
 */
struct walk_frame {
	uint64_t rip, rsp, rbp;
	uint64_t rbp_slot; /* the address that the caller's rbp was read from; 0 = kept */
	uint64_t info;     /* enum heap_stack_flag, enum walk_info */
};

enum walk_info {
	WALK_FLAGS = UINT16_MAX,    /* enum heap_stack_flag */
	WALK_INTERRUPTED = 1 << 16, /* rip is the pc itself, no return address */
	WALK_SIGNAL = 1 << 17,      /* the caller is what a signal interrupted */
	WALK_DEREF = 1 << 18,       /* the caller's stack pointer was read from memory */
	WALK_USES_RBP = 1 << 19,    /* the caller was computed from rbp */
	WALK_RBP_MATTERS = 1 << 20, /* so it was, or one further out while rbp is still the same */
};

/* A word of the stack that a remembered frame's caller was computed from. */
struct walk_word {
	uint64_t address, value;
};

/* Where nodes are looked for first: one that this thread found lately. */
struct walk_child {
	uint64_t address;
	uint64_t ends; /* parent << 32 | node; 0 = empty */
};

enum {
	WALK_CHILDREN = 256,
	WALK_WORDS = HEAP_FRAMES_MAX * 3,
	WALK_RECALL_SETS = 16,
	WALK_RECALL_WAYS = 4,
	WALK_RECALL_WORDS = 8,
};

/*
 * A stack that was walked lately, as what it had inside of a frame of the remembered one: programs
 * allocate in loops, with a handful of different innermost frames.
 */
struct walk_recall {
	uint64_t rip, rsp, rbp; /* of the leaf */
	uint64_t rbp_mask;      /* 0 = rbp does not matter */
	uint64_t stamp;         /* stamps[at] then: last[0 .. at] is the same since */
	uint32_t at, node;
	uint64_t n_words;
	struct walk_word words[WALK_RECALL_WORDS];
};

struct stack_walker {
	struct thread_stack stack;
	uint32_t epoch;   /* of what is remembered: see heap_header.module_epoch */
	uint32_t n_last;  /* frames of the last stack */
	uint64_t last_hi; /* end of the stack it was on */
	struct walk_frame last[HEAP_FRAMES_MAX]; /* root first */
	uint32_t last_nodes[HEAP_FRAMES_MAX];
	/* last[0 .. i] is what it was while words[0 .. last_words[i]) have their values */
	uint32_t last_words[HEAP_FRAMES_MAX];
	struct walk_word words[WALK_WORDS];
	uint64_t stamps[HEAP_FRAMES_MAX]; /* when last[i] was written */
	uint64_t stamp;
	uint64_t n_kept;
	struct walk_recall recalls[WALK_RECALL_SETS][WALK_RECALL_WAYS];
	struct walk_frame inner[HEAP_FRAMES_MAX]; /* leaf first: those of this walk */
	struct walk_child children[WALK_CHILDREN];
};

/* What all threads share. */
struct walk_context {
	struct rule_cache *rules;
	struct node_table *nodes;
	uint64_t skip_start, skip_end; /* the shim's hooks that call other hooks */
};

/**
 * Walk from @leaf outward.
 *
 * @leaf:  rip is the return address into the caller of the hook, rsp and rbp what it will have then
 * @epoch: changes when code was unloaded
 * Return: the node of the stack, NODE_NONE when there was no room for it.
 * Context: no system call but madvise.
 */
uint32_t stack_walk_node(struct stack_walker *walker, const struct walk_context *context,
			 const struct cfi_regs *leaf, uint32_t epoch);

#endif
