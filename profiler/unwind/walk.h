/*
 * walk.h - what all ways to walk a stack share: the copied stack, what a step must satisfy, and why
 * a walk ends.
 *
 * Two walks exist: by compiled rows (rows_walk.h), and by libunwind (remote/stepper.h) for what
 * rows cannot say. They differ in how a frame's caller is computed and in nothing else.
 *
 * Depends on: base, elf, address_space.h, unwind.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_WALK_H
#define CPROF_UNWIND_WALK_H

#include "unwind/unwind.h"

/* A frame of the walk: the state in which its code was left. */
struct frame {
	uint64_t pc, sp;
	uint64_t lookup;  /* avma inside the instruction that was executing */
	bool interrupted; /* by a signal: its stack can be another one */
};

struct walk {
	struct address_space *space;
	const struct unwind_stack *stack;
	struct frame frame;
	bool stack_swapped; /* the frames are on a stack of which there is no copy */
	bool fp_unknown;    /* what rbp was in the frame is not known */
	bool needs_fp;      /* the walk ended because of that */
	size_t n_steps;     /* made */
};

/**
 * Add a frame to the result: the leaf's side first, then the root's side as a ring, which
 * walk_finish() brings into order.
 *
 * Return: false when more steps were made than the copy can hold frames: the walk goes in circles.
 */
static inline bool walk_push(struct walk *walk, const struct frame *frame,
			     struct unwind_result *result)
{
	const size_t leaf_side = unwind_leaf_side(result->cap);
	const size_t root_side = result->cap - leaf_side;
	size_t at = result->n + result->n_omitted;
	if (++walk->n_steps > walk->stack->n_bytes / sizeof(uint64_t) + UNWIND_MAX_FRAMES)
		return false;
	if (result->n < result->cap) {
		result->n++;
	} else {
		result->n_omitted++;
		if (root_side == 0)
			return true;
		at = leaf_side + (at - leaf_side) % root_side;
	}
	result->pcs[at] = frame->lookup;
	if (result->sps)
		result->sps[at] = frame->sp;
	return true;
}

/** Bring the frames in order. A stack that reached its root, but not whole, ends by DEPTH. */
void walk_finish(struct unwind_result *result);

/** A word of the copy. Return: false outside. */
bool walk_read(const struct unwind_stack *stack, uint64_t avma, uint64_t *out);

/** Why memory that a rule needs is not in the copy. */
enum cp_stop walk_stop_of_fault(const struct walk *walk, uint64_t avma);

/** Why a pc lies in no mapping. */
enum cp_stop walk_stop_of_unmapped(uint64_t pc);

/**
 * Look at the caller that unwind information gave.
 *
 * @next: pc, sp and interrupted are set
 * Return: true when it can be one; else *stop is set: END at a zero return address, SP_BACKWARDS.
 */
bool walk_accept(struct walk *walk, const struct frame *next, enum cp_stop *stop);

/**
 * The caller by frame pointer, for code without unwind information (JIT, hand-written assembly).
 *
 * @fp:   rbp in the current frame
 * @next: pc and sp of the caller; *caller_fp its frame pointer
 * Return: false with *stop set when rbp is no frame pointer or leads out of the copy. The caller
 *         of this checks that next->pc lies in code.
 */
bool walk_by_frame_pointer(const struct walk *walk, uint64_t fp, struct frame *next,
			   uint64_t *caller_fp, enum cp_stop *stop);

/** True at the entry point of a program or of the dynamic linker: the main thread's root. */
bool walk_is_process_entry(const struct walk *walk);

#endif
