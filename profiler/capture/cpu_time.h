/*
 * cpu_time.h - the CPU time the recorded processes used meanwhile, from /proc/PID/stat; of the
 * whole machine from /proc/stat.
 *
 * Depends on: base, procfs.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_CPU_TIME_H
#define CPROF_CAPTURE_CPU_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cpu_time {
	uint64_t user_ns, system_ns;
};

enum { CPU_TIME_MACHINE = 0 }; /* a pid: all processes, and interrupts */

struct cpu_time_watch {
	pid_t pid;
	bool with_children; /* also what was used by children it has waited for */
	bool known;
	struct cpu_time at_start, latest;
};

/** Note the time used up to now. */
void cpu_time_begin(struct cpu_time_watch *watch, pid_t pid, bool with_children);

/** Note it again; the value before stays when the process is gone. */
void cpu_time_update(struct cpu_time_watch *watch);

/** Add what was used between the two. Return: false when it is not known; @sum is unchanged. */
bool cpu_time_add(const struct cpu_time_watch *watch, struct cpu_time *sum);

/**
 * Divide an exact total in the proportion of times that are known in clock ticks only.
 *
 * @ticks: where both are 0, everything counts as user time
 */
struct cpu_time cpu_time_divide(uint64_t total_ns, struct cpu_time ticks);

#endif
