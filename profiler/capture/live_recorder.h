/*
 * live_recorder.h - the engine that takes samples itself, where the kernel's timers are refused:
 * round by round it looks which threads run, stops these one at a time for a copy, and gives the
 * copies to the sample sink.
 *
 * A round looks at every thread, or at as many as can be in a millisecond, in turn, and takes those
 * that run: at most as many as there are CPUs, chosen at random when more want to run. Rounds come
 * at random distances around the interval, so that a thread woken by a timer cannot hide behind
 * ours.
 *
 * What a sample stands for is measured: the CPU time that the thread has used since its last sample
 * (schedstat, exact as the thread has just been taken off its CPU). So sums are right whatever the
 * rate has become, and whether threads ran or waited for a CPU. CPU time of threads that ended
 * before they were met running, and after the last sample of others, is in none: it is counted
 * (live_threads_unsampled_ns()).
 *
 * Depends on: live_threads.h, thread_stop.h, overhead.h, sample_sink.h. Threads: one; see
 * thread_stop.h about SIGCHLD, and about the end of that thread.
 */
#ifndef CPROF_CAPTURE_LIVE_RECORDER_H
#define CPROF_CAPTURE_LIVE_RECORDER_H

#include "base/err.h"
#include "live_threads.h"
#include "overhead.h"
#include "processes.h"
#include "sample_sink.h"
#include "thread_stop.h"
#include "wall.h"
#include "watchdog.h"

#include <stdbool.h>
#include <stdint.h>

struct live_setup {
	struct processes *processes; /* borrowed, like the sink */
	struct sample_sink *sink;
	struct wall *wall; /* keeps the stacks of samples; NULL = it is not wanted */
	unsigned rate_hz;
	double max_share; /* see overhead.h */
	uint64_t max_pause_ns;
	bool follow_children;
	pid_t own_child; /* the command, whose end is waited for elsewhere; 0 = none */
	int stop_fd; /* readable: the recording is to end, so no stop is waited for; -1 = none */
};

/* A thread that was seen running. */
struct live_candidate {
	struct live_process *process;
	struct live_thread *thread;
};

struct live_counts {
	uint64_t rounds;
	uint64_t looks;          /* whether a thread runs */
	uint64_t looks_left_out; /* at threads that rounds had no time for */
	uint64_t stopped;        /* threads that became samples */
	uint64_t changed;        /* taken while their process executed another program: dropped */
	uint64_t untracked;      /* dropped for want of memory */
};

struct live_recorder {
	struct live_setup setup;
	struct live_threads threads;
	struct thread_stopper stopper;
	struct watchdog watchdog;
	struct overhead overhead;
	struct live_counts counts;
	int timer_fd;      /* readable when live_recorder_work() is due; -1 = none */
	uint64_t round_ns; /* when the last one began */
	uint64_t next_ns;
	uint64_t interval_ns; /* to the next one */
	uint64_t random;
	struct live_candidate *candidates;
	size_t n_candidates, cap_candidates;
};

/** Make everything but the watch over it. Return: 0 or -errno with a message. */
int live_recorder_open(struct live_recorder *live, const struct live_setup *setup,
		       struct cp_err *err);

/** All-zero is accepted. Not before the tracing thread has ended. */
void live_recorder_close(struct live_recorder *live);

/** Start the watchdog. Context: while the process has one thread. Return: 0 or -errno. */
int live_recorder_guard(struct live_recorder *live, struct cp_err *err);

/**
 * Begin. Context: in the tracing thread, like all that follows.
 *
 * @pids: to record, with their threads; their mappings have been read
 */
int live_recorder_begin(struct live_recorder *live, const pid_t *pids, size_t n, bool born_now,
			struct cp_err *err);

/**
 * Do what is due: a round, or letting go a late thread; set the timer for the next time.
 *
 * @dump_bytes: of stack to copy
 * Return: 0 or -ENOMEM.
 */
int live_recorder_work(struct live_recorder *live, uint32_t dump_bytes);

/**
 * Nothing is sampled any more: let go of the threads that are late, as far as they stop in time.
 * The others are let go when this thread ends, which it should do at once.
 */
void live_recorder_finish(struct live_recorder *live);

#endif
