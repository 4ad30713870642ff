/*
 * thread_stop.h - take one running thread: stop it, copy its registers and the top of its stack,
 * let it go.
 *
 * The thread is traced for the microseconds of one sample only (PTRACE_SEIZE, PTRACE_INTERRUPT,
 * PTRACE_DETACH). Between samples nothing of us is on it: signals, job control, exec and exit go
 * their ways untouched, another tracer finds it free, and a recorder that dies leaves nothing
 * behind. There is no SIGSTOP, and no option that would end the target with us.
 *
 * What may happen in those microseconds, and what is done:
 * - A signal arrives, and the stop is that of its delivery: it is delivered as it is when the
 *   thread is let go.
 * - Job control stops the process: the thread is let go, and stays stopped as the others.
 * - The thread enters a system call and begins to wait: it is woken. What the kernel does not
 *   restart is rewound (thread_regs.h), unless a signal is there that would have woken it.
 * - It ends, or its process executes another program: there is no sample.
 * - It does not stop, as it is in an uninterruptible wait (a disk, vfork): it is given some
 *   milliseconds and becomes late: it runs on, and is let go at the moment when it does stop.
 *
 * A thread that is late can be let go only when it stops, or by the end of the tracing thread. So
 * whoever uses this does it in a thread of its own that ends with the recording. Until then no
 * thread of its process is asked to stop, and this is counted: where another one executes a
 * program, it waits for the late one's end to be taken, and holds what PTRACE_SEIZE waits for.
 *
 * Depends on: favour.h, thread_copy.h, thread_regs.h, watchdog.h. Threads: one, always the same;
 * SIGCHLD has to be blocked in all of the process, and not ignored.
 */
#ifndef CPROF_CAPTURE_THREAD_STOP_H
#define CPROF_CAPTURE_THREAD_STOP_H

#include "favour.h"
#include "thread_copy.h"
#include "watchdog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { THREAD_STOP_MAX_BYTES = 64 << 10 };

/* How long a thread is waited for, and one that could run but is given no CPU. */
#define THREAD_STOP_PATIENCE_NS UINT64_C(20000000)
#define THREAD_STOP_PATIENCE_RUNNABLE_NS UINT64_C(80000000)

enum thread_stop_status {
	THREAD_STOP_TAKEN,
	THREAD_STOP_GONE,    /* it has ended, or is ending */
	THREAD_STOP_REFUSED, /* not permitted, or another one traces it */
	THREAD_STOP_LATE,    /* it does not stop; or one of its process has not done so yet */
	THREAD_STOP_HELD,    /* by job control */
	THREAD_STOP_OTHER,   /* it runs 32-bit code, or its memory cannot be read */
	THREAD_STOP_STATUSES
};

struct thread_stop_counts {
	uint64_t by_status[THREAD_STOP_STATUSES]; /* of all that were tried */
	uint64_t rewound;      /* system calls that would have returned EINTR because of us */
	uint64_t eintr_left;   /* that did, as they may not be entered once more */
	uint64_t signals;      /* that arrived in a stop and were passed on */
	uint64_t short_writes; /* writes that may have been cut short by a stop */
	uint64_t left_out;     /* not asked to stop, as one of their process was late */
	uint64_t unstopped;    /* late at the end: what call they were in is not known */
};

struct thread_stop_late {
	pid_t pid, tid; /* 0 = none */
	uint64_t since_ns;
	uint64_t looked_ns; /* when it was last seen not to have stopped */
};

struct thread_stopper {
	struct watchdog *watchdog; /* borrowed; its board may be NULL */
	pid_t own_child;           /* its end is somebody else's to wait for; 0 = none */
	/*
	 * Called with how long a thread stood still at most: from when it was asked to stop, or was
	 * last seen not to have, until it was let go. The scheduler then takes a wake-up's time (a
	 * few us; 10 to 20 in virtual machines) to run it again, which is not seen here. May be
	 * NULL.
	 */
	void (*on_pause)(void *ctx, uint64_t pause_ns);
	void *pause_ctx;
	/* Called while a stop is waited for: true = it is not worth it any more. May be NULL. */
	bool (*gives_up)(void *ctx);
	void *gives_up_ctx;
	struct favour favour; /* used where it was asked for */
	/* filled here */
	struct thread_stop_counts counts;
	struct thread_stop_late late[WATCHDOG_THREADS - 1];
	uint8_t *bytes;   /* THREAD_STOP_MAX_BYTES */
	uint64_t spin_ns; /* a stop is looked for without a pause for so long */
};

/** @stopper: the fields up to gives_up_ctx set by the caller. Return: 0 or -ENOMEM. */
int thread_stopper_init(struct thread_stopper *stopper);
void thread_stopper_deinit(struct thread_stopper *stopper);

/**
 * Take a thread.
 *
 * @n_bytes: of its stack to copy, up to THREAD_STOP_MAX_BYTES
 * @copy:    filled with THREAD_STOP_TAKEN; its bytes are valid until the next call
 * Context: some 15 system calls. Returns within THREAD_STOP_PATIENCE_RUNNABLE_NS, unless ptrace()
 * itself waits for an exec of the process to make progress; the thread runs on meanwhile.
 */
enum thread_stop_status thread_stop_take(struct thread_stopper *stopper, pid_t pid, pid_t tid,
					 size_t n_bytes, struct thread_copy *copy);

/** True while a late thread has not stopped yet: thread_stopper_poll() is to be called often. */
bool thread_stopper_has_late(const struct thread_stopper *stopper);

/**
 * Go before others for as long as a thread that became late within the last second may stop, and
 * stands still until we have noticed. Not for one that waits for a disk, as that can take hours.
 */
void thread_stopper_favour(struct thread_stopper *stopper);

/** Let go late threads that have stopped. */
void thread_stopper_poll(struct thread_stopper *stopper);

/**
 * Nothing will be taken any more: wait for late threads until @until_ns. Those that have not
 * stopped by then are counted, and let go by the kernel when this thread ends, which it should do
 * at once.
 */
void thread_stopper_finish(struct thread_stopper *stopper, uint64_t until_ns);

#endif
