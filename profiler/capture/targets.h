/*
 * targets.h - the processes asked for: are they fit to be recorded, are they alive, attach to them.
 *
 * Depends on: base, perf_events.h, perf_probe.h, cpu_time.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_TARGETS_H
#define CPROF_CAPTURE_TARGETS_H

#include "base/err.h"
#include "cpu_time.h"
#include "perf_events.h"
#include "perf_probe.h"
#include "recorder.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct target {
	pid_t pid;
	int pidfd; /* -1: there is none, ask procfs_has_ended() */
	bool ended;
	struct cpu_time_watch cpu;
};

struct targets {
	struct target *items;
	size_t n, n_alive;
	bool whole_machine; /* everything is recorded; items are whom to wait for */
	struct cpu_time_watch machine;
};

/**
 * @n: 0 = none; with whole_machine set then there is no one to wait for
 * Return: 0 or -errno with a message: -ESRCH, -EINVAL (a thread, a kernel thread), -ENOTSUP
 *         (a 32-bit program), -ENOMEM.
 */
int targets_open(const pid_t *pids, size_t n, struct targets *out, struct cp_err *err);
void targets_close(struct targets *targets);

/** Note the CPU time used so far. @with_children: count those of children too. */
void targets_begin(struct targets *targets, bool with_children);
void targets_update(struct targets *targets);

/** All of those that were asked for have ended. */
bool targets_all_ended(const struct targets *targets);

/** CPU time between the two, of all. Return: false when nothing is known of any. */
bool targets_cpu_time(const struct targets *targets, struct cpu_time *out);

/** One has ended. */
void targets_end(struct targets *targets, struct target *target);

/**
 * What RECORDER_SCOPE_AUTO means: true for one event per CPU.
 *
 * @n_threads, @n_cpus: their product is the number of timers of the other way
 */
bool targets_prefer_cpus(const struct perf_probe *probe, size_t n_threads, size_t n_cpus);

/**
 * Open the events: for all their threads, or one per CPU (setup.follow is PERF_FOLLOW_NONE then).
 *
 * Threads that are born meanwhile are found by looking again until nothing changes; some of them
 * end up with two sets of events (see perf_events.h). Where descriptors do not suffice, one
 * event per CPU is opened instead if @probe allows it.
 *
 * Return: 0 or -errno with a message that names the remedy.
 */
int targets_attach(const struct targets *targets, const struct perf_probe *probe,
		   enum recorder_scope scope, struct perf_events *events, struct cp_err *err);

#endif
