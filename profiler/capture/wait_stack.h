/*
 * wait_stack.h - the whole stack of a thread that waits: looked at from outside, as far as its walk
 * needs, and with its frame pointer looked up if the walk needs that.
 *
 * In this order: the thread itself was sampled with all registers at the same place
 * (wait_places.h); it is searched for on the stack (fp_search.h), and the sample is marked as
 * inferred; where an engine that stops threads is at work, the thread is stopped once for each
 * place it waits at, if its system call goes on by itself afterwards (wait_is_restarted()); else
 * the stack is truncated.
 *
 * Depends on: unwind, sample_sink.h, thread_look.h, thread_stop.h, wait_places.h. Threads: one at a
 * time; with a stopper, its thread.
 */
#ifndef CPROF_CAPTURE_WAIT_STACK_H
#define CPROF_CAPTURE_WAIT_STACK_H

#include "sample_sink.h"
#include "thread_look.h"
#include "thread_stop.h"
#include "unwind/fp_search.h"
#include "wait_places.h"

#include <stddef.h>
#include <stdint.h>

struct wait_stack_counts {
	uint64_t fp_remembered; /* stacks whose rbp was that of a full sample */
	uint64_t fp_searched;   /* for which it was searched, and found */
	uint64_t fp_stopped;    /* for which the thread was stopped */
	uint64_t fp_unknown;    /* none of these: truncated */
};

struct wait_stack {
	struct sample_sink *sink;       /* borrowed: whose unwinders are used */
	struct thread_stopper *stopper; /* borrowed; NULL = nothing is stopped */
	/* filled here */
	struct thread_look look;
	struct fp_search search;
	uint64_t *pcs, *sps; /* of walks */
	struct wait_stack_counts counts;
};

/** @stack: sink and stopper set by the caller. Return: 0 or -ENOMEM. */
int wait_stack_init(struct wait_stack *stack);

/** All-zero is accepted. */
void wait_stack_deinit(struct wait_stack *stack);

/* What is known of the thread from before. */
struct wait_stack_thread {
	struct thread *thread;
	const struct thread_look_target *target; /* with its files; NULL = they are opened */
	struct wait_places *places;              /* added to */
	size_t *n_bytes;                         /* of stack to copy; 0 at first, and grown here */
	uint64_t slices;                         /* as for thread_look_at() */
};

/**
 * Take a thread.
 *
 * @copy:     with THREAD_LOOK_TAKEN; its bytes are borrowed until the next call
 * @inferred: likewise: how its frame pointer came to be known, if it was needed
 * Return: as thread_look_at().
 */
enum thread_look_status wait_stack_take(struct wait_stack *stack,
					const struct wait_stack_thread *of,
					struct thread_copy *copy, struct thread_sched *sched,
					enum cp_inferred *inferred);

#endif
