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
#include "last_stack.h"
#include "node_table.h"
#include "rows/cfi_step.h"
#include "rule_cache.h"
#include "stack_bounds.h"

/* Where nodes are looked for first: one that this thread found lately. */
struct walk_child {
	uint64_t address;
	uint64_t ends; /* parent << 32 | node; 0 = empty */
};

enum { WALK_CHILDREN = 256 };

struct stack_walker {
	struct thread_stack stack;
	uint32_t epoch; /* of what is remembered: see heap_header.module_epoch */
	struct last_stack last;
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
 * Return: the node of the stack, or enum node_failure.
 * Context: no system call but madvise.
 */
uint32_t stack_walk_node(struct stack_walker *walker, const struct walk_context *context,
			 const struct cfi_regs *leaf, uint32_t epoch);

#endif
