/*
 * thread_look.h - the stack of a thread that waits, taken from outside: no stop, no signal.
 *
 * Of a thread that is blocked in the kernel, /proc/PID/task/TID/syscall tells the call, its
 * arguments, the stack pointer and the pc; process_vm_readv(2) reads its memory. Neither touches
 * the thread. What was read is of one moment when the thread has not run meanwhile: its call is
 * the same afterwards, and the scheduler has not put it on a CPU (schedstat; where the kernel has
 * no such statistics, the switches in status). Else it is thrown away, and counted.
 *
 * The same count says that a thread has not run since the last look: it waits where it did, with
 * the stack that it had.
 *
 * What the read can do to the target: pages of the stack that were swapped out come back, and
 * another of its threads may wait for the lock of the address space as long as the copy takes.
 *
 * Depends on: thread_copy.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_THREAD_LOOK_H
#define CPROF_CAPTURE_THREAD_LOOK_H

#include "thread_copy.h"

#include <sys/types.h>

enum { THREAD_LOOK_MIN_BYTES = 8 << 10, THREAD_LOOK_MAX_BYTES = 1 << 20 };

/* What the scheduler has counted of a thread since its birth. */
struct thread_sched {
	uint64_t run_ns;   /* on a CPU; up to a clock tick behind while it is on one */
	uint64_t delay_ns; /* waiting for a CPU, up to when it was last given one */
	uint64_t slices;   /* times it was given one, or its switches: changes when it has run */
	bool has_times;    /* the first two are known */
};

enum thread_look_status {
	THREAD_LOOK_TAKEN,     /* it waits: the copy is filled */
	THREAD_LOOK_UNCHANGED, /* it waits and has not run since: the copy is not filled */
	THREAD_LOOK_RUNNING,   /* it runs, or waits for a CPU */
	THREAD_LOOK_MOVED,     /* it has gone on while it was looked at */
	THREAD_LOOK_GONE,
	THREAD_LOOK_REFUSED, /* not permitted, as ptrace would not be */
	THREAD_LOOK_STATUSES
};

struct thread_look {
	uint8_t *bytes; /* owned */
	size_t cap;
	uint64_t counts[THREAD_LOOK_STATUSES]; /* of all looks */
};

/*
 * A thread, and its files in /proc: kept open, a look costs a third, and it is the same thread for
 * as long as they are. -1 = opened each time.
 */
struct thread_look_target {
	pid_t pid, tid;
	int syscall_fd, schedstat_fd;
};

/** A thread without open files. */
static inline struct thread_look_target thread_look_target_of(pid_t pid, pid_t tid)
{
	return (struct thread_look_target){pid, tid, -1, -1};
}

/** Open the files. Where that fails they are opened for each look. */
void thread_look_open(struct thread_look_target *target);
void thread_look_close(struct thread_look_target *target);

/** All-zero is the initial state. */
void thread_look_deinit(struct thread_look *look);

/**
 * Look at a thread.
 *
 * @n_bytes: of its stack to copy, THREAD_LOOK_MIN_BYTES to THREAD_LOOK_MAX_BYTES
 * @slices:  of the last look, when the thread waited then; 0 = there was none
 * @copy:    filled with THREAD_LOOK_TAKEN; pause_ns is 0. in_syscall is false where the thread
 *           waits without having called the kernel (page faults, stops)
 * @sched:   filled with all but GONE and REFUSED
 * Context: 2 to 5 system calls, 3 to 10 us, with its files open; else 8 to 17, 12 to 30 us.
 *          Allocates when @n_bytes is more than before.
 */
enum thread_look_status thread_look_at_target(struct thread_look *look,
					      const struct thread_look_target *target,
					      size_t n_bytes, uint64_t slices,
					      struct thread_copy *copy, struct thread_sched *sched);

/** The same of a thread without open files. */
enum thread_look_status thread_look_at(struct thread_look *look, pid_t pid, pid_t tid,
				       size_t n_bytes, uint64_t slices, struct thread_copy *copy,
				       struct thread_sched *sched);

/** What the scheduler has counted. Return: 0, -ESRCH, -EACCES. */
int thread_look_sched(pid_t pid, pid_t tid, struct thread_sched *out);
int thread_look_sched_target(const struct thread_look_target *target, struct thread_sched *out);

/** Parse a line of /proc/PID/task/TID/syscall. Return: false for a running thread, or damage. */
bool thread_look_parse(const char *text, struct thread_copy *out);

#endif
