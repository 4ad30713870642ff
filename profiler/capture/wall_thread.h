/*
 * wall_thread.h - what is kept of a thread that is sampled on the wall clock.
 *
 * Its last stacks, for the samples of a thread that still waits where it did, and for time that it
 * waited for a CPU, and how much of its time was accounted for.
 *
 * Depends on: base, profile, sample_sink.h, thread_look.h, wait_places.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_WALL_THREAD_H
#define CPROF_CAPTURE_WALL_THREAD_H

#include "base/state.h"
#include "profile/profile.h"
#include "sample_sink.h"
#include "thread_look.h"
#include "wait_places.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wall_thread {
	uint64_t since_ns;                     /* its time is accounted for from then on */
	struct thread_sched at_start;          /* what the scheduler had counted by then */
	int64_t waited_ns, delayed_ns, ran_ns; /* accounted for */
	uint64_t seen_ns;                      /* last look */
	uint64_t slices;                       /* when it waited at the last look; 0 = it did not */
	size_t n_bytes;                        /* of stack to copy */
	enum cp_state state;
	enum cp_inferred inferred;
	string_id waits_for;
	bool ended;                       /* accounted for */
	struct thread_look_target target; /* its files: closed with it */
	struct kept_stack waiting, running;
	uint64_t waiting_ns, running_ns; /* when they were taken */
	struct wait_places places;
};

/** Return: NULL when out of memory. */
struct wall_thread *wall_thread_create(pid_t pid, pid_t tid, uint64_t since_ns,
				       const struct thread_sched *at_start);
void wall_thread_destroy(struct wall_thread *thread);

#endif
