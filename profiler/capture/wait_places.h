/*
 * wait_places.h - where a thread's frame pointer was when it waited at some place before.
 *
 * Of a waiting thread rbp is not known. A thread mostly waits at the same few places again, and a
 * full sample at one of them (the timer has interrupted the system call), or a search (fp_search.h)
 * has told it. It is the same now if the pc and the stack pointer are, and the frame that it points
 * at still holds the same: the caller's frame pointer and the return address.
 *
 * Depends on: base/state.h, thread_copy.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_WAIT_PLACES_H
#define CPROF_CAPTURE_WAIT_PLACES_H

#include "base/state.h"
#include "thread_copy.h"

enum { WAIT_PLACES = 4 };

struct wait_place {
	uint64_t sp, pc; /* sp 0 = unused */
	uint64_t fp;
	uint64_t words[2]; /* at fp: the caller's frame pointer, and a return address */
	enum cp_inferred inferred;
};

/* All-zero is the initial state. */
struct wait_places {
	struct wait_place items[WAIT_PLACES]; /* the oldest makes room */
	unsigned next;
	uint64_t stopped_sp, stopped_pc; /* where the thread was stopped last to be asked */
};

/** The place of a copy without frame pointer. Return: NULL when it is not known. */
const struct wait_place *wait_places_find(const struct wait_places *places,
					  const struct thread_copy *copy);

/** Remember registers with their frame pointer; nothing, when its frame is not in @stack. */
void wait_places_add(struct wait_places *places, const struct unwind_regs *regs,
		     const struct unwind_stack *stack, enum cp_inferred inferred);

#endif
