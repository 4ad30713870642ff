/*
 * watchdog.h - a process of its own that frees the target should the recorder hang in the middle of
 * a stop.
 *
 * Only a tracer can let its tracee go on. But the kernel lets go all tracees of a process that
 * ends, and they run on. So a recorder that was itself stopped, or hangs, while a thread stands
 * still because of it is killed; what it had recorded is on disk. The recorder writes down whom it
 * is about to stop before it does; the watchdog looks ten times a second, and acts only when that
 * has not changed for half a second and the thread does stand still.
 *
 * It ends with the recorder: it reads a pipe whose other end only that has.
 *
 * Depends on: base, procfs.h. Threads: one writer; create it while the process has one thread.
 */
#ifndef CPROF_CAPTURE_WATCHDOG_H
#define CPROF_CAPTURE_WATCHDOG_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* The thread being taken is [0]; the others are on their way into a stop that comes late. */
enum { WATCHDOG_THREADS = 16 };

/* Shared with the watchdog. */
struct watchdog_board {
	_Atomic uint64_t beat;                  /* changes whenever the recorder does something */
	_Atomic int32_t tids[WATCHDOG_THREADS]; /* 0 = none */
};

struct watchdog {
	struct watchdog_board *board; /* NULL = there is none */
	pid_t pid;
	int alive_fd; /* closed: the recorder has ended */
};

/**
 * Start it.
 *
 * Return: 0 or -errno with a message.
 * Context: a fork. It has its own session, so what is typed does not reach it, and of our
 *          descriptors standard error only, for the one message it may have to write.
 */
int watchdog_start(struct watchdog *out, struct cp_err *err);

/** End it. All-zero is accepted. */
void watchdog_stop(struct watchdog *watchdog);

static inline void watchdog_note(struct watchdog *watchdog, unsigned slot, pid_t tid)
{
	if (!watchdog->board)
		return;
	atomic_store_explicit(&watchdog->board->tids[slot], (int32_t)tid, memory_order_release);
	atomic_fetch_add_explicit(&watchdog->board->beat, 1, memory_order_release);
}

#endif
