/*
 * wall.h - every thread sampled on the wall clock: what it does, and when it waits, what for.
 *
 * Three sources add up to a thread's time. While it is on a CPU, others sample it: the kernel's
 * timers (perf), or short stops. While it waits, it is looked at from outside in rounds
 * (thread_look.h); it is not disturbed. What it waited for a CPU, the scheduler counts (schedstat).
 *
 * A sample of a waiting thread stands for all that the thread has waited since its last one: its
 * life so far, less its time on and for CPUs, less what was accounted for. So times add up to the
 * thread's life whatever the rate, and where a thread has waited for several things since its last
 * look, it is likely to be found at each in proportion to their times. One that has not run since
 * the last look waited for the same all the time; this costs no reading of its stack.
 *
 * Time for a CPU is credited to the stack that the thread had when it was last seen, and marked as
 * inferred: the kernel tells no stack of a thread that could run. Where nobody has seen the thread,
 * and what was not accounted for when it ended, is counted (unseen_ns).
 *
 * Depends on: the rest of this folder. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_WALL_H
#define CPROF_CAPTURE_WALL_H

#include "processes.h"
#include "sample_sink.h"
#include "socket_names.h"
#include "thread_rounds.h"
#include "wait_info.h"
#include "wait_stack.h"

#include <stddef.h>
#include <stdint.h>

struct wall_counts {
	uint64_t stacks_taken; /* of waiting threads; the other samples repeat one */
	uint64_t unseen_ns;    /* time of threads that no sample stands for */
	uint64_t dropped;      /* samples that could not be kept: out of memory */
};

struct wall {
	struct sample_sink *sink;       /* borrowed; its samples of running threads are kept */
	struct processes *processes;    /* borrowed */
	struct thread_stopper *stopper; /* see wait_stack.h; borrowed, or NULL */
	bool off_cpu_only;              /* threads that run are no samples */
	/* filled here */
	struct thread_rounds rounds;
	struct wait_stack stacks;
	struct socket_names sockets;
	struct thread **threads;
	size_t n_threads, cap_threads;
	uint32_t *order; /* of threads, for thread_rounds_pick() */
	size_t n_order, cap_order;
	size_t n_open, open_max; /* threads whose files are kept open */
	uint32_t listed_version;
	bool has_list;
	int64_t period_ns;
	uint64_t cpu_ns; /* of the recorder, when the last round ended */
	struct wall_counts counts;
};

/**
 * @wall:      the fields up to off_cpu_only set by the caller
 * @rate_hz:   looks at each thread per second, as long as @cpu_share pays for them
 * @cpu_share: of one CPU; 0.01 = 1 %
 * Return: 0 or -ENOMEM.
 */
int wall_init(struct wall *wall, unsigned rate_hz, double cpu_share, uint64_t now_ns);

/** All-zero is accepted. */
void wall_deinit(struct wall *wall);

/** When the next round is due. */
static inline uint64_t wall_due_ns(const struct wall *wall)
{
	return wall->rounds.next_ns;
}

/**
 * Look at threads: a round.
 *
 * Context: some 10 us a thread; more for one whose stack is new.
 */
void wall_round(struct wall *wall, uint64_t now_ns);

/** The last one: of all threads, so that their time is accounted for to the end. It stops none. */
void wall_finish(struct wall *wall, uint64_t now_ns);

/** Add a sample of a running thread, as sample_sink_add(), and keep its stack. */
int wall_add_running(struct wall *wall, struct thread *thread, const struct sink_sample *sample);

#endif
