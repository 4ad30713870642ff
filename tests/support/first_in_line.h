/*
 * first_in_line.h - a recorder that runs when it is due, however busy the machine is.
 *
 * One that has to wait loses samples, or copies less of the stacks: that is counted, and says
 * nothing about the recorder. A nice value counts in its own session only where sessions are
 * grouped (sched(7), "The autogroup feature"). What the process starts is not first in line.
 *
 * Depends on: nothing. Threads: the caller's.
 */
#ifndef CPROF_TESTS_FIRST_IN_LINE_H
#define CPROF_TESTS_FIRST_IN_LINE_H

#include <sched.h>
#include <sys/resource.h>

/* Without the right to it nothing changes. */
static inline void first_in_line(void)
{
	const struct sched_param param = {.sched_priority = 1};
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) < 0)
		setpriority(PRIO_PROCESS, 0, -15);
}

#endif
