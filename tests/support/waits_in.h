/*
 * waits_in.h - does a thread wait in a system call yet?
 *
 * What was started waits a moment later: until then, other waits and running are to be seen of it.
 *
 * Depends on: capture/procfs.h. Threads: any.
 */
#ifndef CPROF_TESTS_WAITS_IN_H
#define CPROF_TESTS_WAITS_IN_H

#include "capture/procfs.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/** @nr: SYS_read and the like */
static inline bool waits_in(pid_t tid, long nr)
{
	char path[64], call[256], *end;
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	return procfs_read(path, call, sizeof(call)) > 0 && strtol(call, &end, 10) == nr &&
	       end != call;
}

#endif
