/*
 * perf_probe.h - what perf_event_open allows here, and what would open more.
 *
 * The one place that decides between events and explains refusals: `cprof record` uses its answer,
 * `cprof doctor` prints it.
 *
 * Depends on: base. Threads: any.
 */
#ifndef CPROF_CAPTURE_PERF_PROBE_H
#define CPROF_CAPTURE_PERF_PROBE_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct perf_probe {
	bool usable;          /* an event can be opened */
	bool hardware_cycles; /* else cpu-clock */
	bool kernel_visible;  /* kernel samples and frames are allowed */
	bool system_wide;     /* per-CPU events without a process are allowed */
	int paranoid;         /* /proc/sys/kernel/perf_event_paranoid; INT_MIN = unreadable */
	long mlock_kb;        /* /proc/sys/kernel/perf_event_mlock_kb; -1 = unreadable */
	bool capable;         /* CAP_PERFMON or CAP_SYS_ADMIN effective */
	int open_errno;       /* why not usable: errno of perf_event_open; 0 otherwise */
	char reason[512];     /* a sentence; "" when usable */
	char remedy[512];     /* what to type or change; "" when usable */
	char system_reason[256], system_remedy[512]; /* the same of system_wide, when usable */
};

/**
 * Try it.
 *
 * @pid: the process to be recorded, or 0 for this one
 * Context: opens and closes events that never run.
 */
void perf_probe_run(pid_t pid, struct perf_probe *out);

#endif
