/*
 * favour.h - what the scheduler is asked for, by the thread that stops others.
 *
 * A stop lasts until we have noticed it, and on a busy machine we have to wait for a CPU to do
 * that. So we ask for a short slice, that a wake-up goes before others (Linux 6.12), and where it
 * is permitted (CAP_SYS_NICE) for a high priority. While a thread is asked to stop we go before all
 * others that are not of real time: that takes the microseconds of a stop, of which we sleep the
 * most. At other times not, or what we do with samples would keep programs from their CPU; but for
 * a second after a thread became late, as that may stand still at any moment. Then work goes first,
 * too: some 10 ms at a time, where binaries are read, within what the contract lets us use.
 *
 * Depends on: sched_setattr(2). Threads: it is about the calling one.
 */
#ifndef CPROF_CAPTURE_FAVOUR_H
#define CPROF_CAPTURE_FAVOUR_H

#include <stdbool.h>

struct favour {
	bool asked; /* favour_ask() was called */
	bool first; /* we go before others now */
	bool refused;
};

/** Ask for what is wanted all the time. What is refused is not missed. */
void favour_ask(struct favour *favour);

/** Go before all others from now on, or not any more. Context: a system call when that changes. */
void favour_go_first(struct favour *favour, bool first);

#endif
