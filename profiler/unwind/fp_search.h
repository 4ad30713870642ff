/*
 * fp_search.h - where the frame is of a function that finds it by rbp, when rbp is not known.
 *
 * Of a thread that waits, the kernel tells the pc and the stack pointer. Where a frame's rule is
 * "CFA = rbp + n", its return address and the caller's rbp still are on the stack, somewhere
 * outward of the stack pointer. A place is believed to be it when all of this holds:
 *
 * - it is as far out, at least, as the function's first instructions have moved the stack pointer;
 * - a call is right before the return address there: of this very function, or one that does not
 *   say of which (through a pointer, a PLT entry);
 * - the walk that goes on from there by unwind information ends at the thread's root;
 * - every call on that way that says whom it calls has called the frame that is further in.
 * Left-over frames of earlier calls mostly fail here: what they joined has called another function
 * since.
 *
 * The calls that name the function count first: a place that is exactly where the first
 * instructions say is taken, else the innermost if all further ones are frames of its own walk, as
 * those of a recursion are. Of calls that do not name it there has to be one only, or one that is
 * where the first instructions say, of a function that does not move its stack pointer later
 * (alloca). None of them may be in the function itself: what it has called through a pointer before
 * looks so.
 *
 * This is inference, however good: the caller marks such a stack.
 *
 * Depends on: base, elf, address_space.h, unwind.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_FP_SEARCH_H
#define CPROF_UNWIND_FP_SEARCH_H

#include "unwind.h"

struct fp_search {
	uint64_t *pcs, *sps; /* of the walks that are tried; owned, NULL until needed */
	uint64_t *first_sps; /* of the first one that qualified */
	size_t n_first;
};

/** All-zero is the initial state. */
void fp_search_deinit(struct fp_search *search);

/* What is known of a thread. */
struct fp_search_thread {
	struct address_space *space;
	struct unwinder *unwinder; /* of @space */
	const struct unwind_regs *regs;
	uint32_t known;
	const struct unwind_stack *stack;
};

/**
 * @cut: of unwinder_walk_known() with needs_fp, with its sps
 * @fp:  rbp of the thread
 * Return: false: no place qualifies, or more than one.
 * Context: some walks of the stack; memory at the first call.
 */
bool fp_search_run(struct fp_search *search, const struct fp_search_thread *thread,
		   const struct unwind_result *cut, uint64_t *fp);

#endif
