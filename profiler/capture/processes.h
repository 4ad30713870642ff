/*
 * processes.h - the recorded processes and threads as the records tell of them.
 *
 * Records arrive in the order of time, so what a look-up gives is what was true when the sample
 * was taken: names, and the mappings of the process. What has exited stays until the sweep after
 * the next one: a task goes on to run, and to be sampled, after its EXIT record (from Linux 6.16 on
 * it gives its memory back only then).
 *
 * Of a process that was there before, the mappings are read when they are first asked for: most
 * processes of a machine never run while one looks.
 *
 * Depends on: base, unwind, perf_events.h (owners). Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_PROCESSES_H
#define CPROF_CAPTURE_PROCESSES_H

#include "base/err.h"
#include "cpu_time.h"
#include "location_cache.h"
#include "perf_events.h"
#include "procfs.h"
#include "unwind/address_space.h"
#include "unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct thread;
struct wall_thread;

struct process {
	pid_t pid;
	char comm[PROCFS_COMM_MAX]; /* its main thread's name */
	uint32_t comm_version;      /* changes with comm */
	struct address_space *space;
	struct unwinder *unwinder; /* NULL until the first sample with user registers */
	uint64_t
		maps_read_ns; /* when /proc/PID/maps was read; older records are in it. 0 = never */
	uint64_t maps_retry_ns; /* not to be read again before */
	uint64_t born_ns;       /* at the latest; 0 = unknown */
	bool maps_doubtful;  /* a mapping may be missing: records were lost, or it was never read */
	uint32_t jit_module; /* of the sample sink: module id + 1; 0 = unset */
	struct location_scope located; /* likewise */
	bool is_target;                /* asked for; the others are its descendants */
	bool held;                     /* it has not reached the exec that it was started for */
	bool in_exec;                  /* it may not have returned from an exec yet */
	bool has_samples;
	size_t n_live;          /* threads that have not exited */
	struct thread *threads; /* linked by sibling */
	struct process *next;   /* in its bucket */
};

struct thread {
	pid_t tid;
	struct process *process;
	char name[PROCFS_COMM_MAX];
	perf_owner source; /* the only one whose samples of this thread count; NONE = undecided */
	bool exited, has_samples;
	bool announced; /* else its EXIT may have been before it was met: the sweep asks /proc */
	uint32_t exited_at; /* n_sweeps then */
	uint64_t exited_ns; /* when it was told to have, or was found to have; 0 = it has not */
	uint32_t label;     /* of the sample sink: thread id + 1; 0 = unset */
	uint32_t label_comm_version;
	uint64_t stack_key;       /* of the sample sink: names its stack history; 0 = unset */
	struct wall_thread *wall; /* of wall.h: owned; NULL = none */
	struct thread *sibling, *sibling_before; /* of the process, newest first */
	struct thread *next;                     /* in its bucket */
};

enum { PROCESSES_BUCKETS = 4096 };

struct processes {
	struct image_store *images;
	struct process *by_pid[PROCESSES_BUCKETS];
	struct thread *by_tid[PROCESSES_BUCKETS];
	size_t n_processes;
	uint32_t n_sweeps;
	uint32_t threads_version; /* changes when there are other threads, or one has exited */
	/* counters */
	uint64_t maps_read; /* times /proc/PID/maps was read again */
};

/** Return: 0 or -ENOMEM. */
int processes_create(struct processes **out);
void processes_destroy(struct processes *processes);

struct process *processes_find(const struct processes *processes, pid_t pid);
struct thread *processes_find_thread(const struct processes *processes, pid_t tid);

/**
 * The process @pid, made when unknown: empty and without threads.
 *
 * Return: NULL when out of memory.
 */
struct process *processes_add(struct processes *processes, pid_t pid);

/**
 * The thread @tid of @process, made when unknown, taken over when it was another process'.
 *
 * @name: of a new thread; NULL = the process' name
 * Return: NULL when out of memory.
 */
struct thread *processes_add_thread(struct processes *processes, struct process *process, pid_t tid,
				    const char *name);

/**
 * Add a running process by what /proc says now: names of its threads, and its mappings.
 *
 * Return: 0, -ESRCH, -EACCES, -ENOMEM with a message.
 */
int processes_scan(struct processes *processes, pid_t pid, struct cp_err *err);

/**
 * Add all processes by name. Mappings are read of those that run just now; of others when first
 * needed.
 *
 * Return: 0, -ENOMEM or what opening /proc gave, with a message.
 * Context: some system calls for each thread of the machine, about 20 us.
 */
int processes_scan_all(struct processes *processes, struct cp_err *err);

/**
 * Add a process that no record has announced, by what /proc still says. It may be gone, and then
 * has neither name nor threads.
 *
 * Return: NULL when out of memory.
 */
struct process *processes_meet(struct processes *processes, pid_t pid);

/**
 * Records were lost: add the running children of known processes that were born since @since_ns.
 * One whose parent has ended meanwhile is not found.
 *
 * Context: a system call for each process of the machine, about 20 us.
 */
void processes_find_children(struct processes *processes, uint64_t since_ns);

/** The name of its main thread. */
void processes_set_comm(struct process *process, const char *name);

/** Give it other mappings: @space is taken over. */
void processes_set_space(struct process *process, struct address_space *space);

/** Read /proc/PID/maps again. Return: false when that failed; the mappings are as before. */
bool processes_read_maps(struct processes *processes, struct process *process);

/** FORK: a new thread, or a new process with a copy of its parent's mappings. Return: 0, -ENOMEM.
 */
int processes_fork(struct processes *processes, pid_t parent_pid, pid_t parent_tid, pid_t pid,
		   pid_t tid);

/** Another program's process has the number now: forget the one that had it. Unknown is fine. */
void processes_drop(struct processes *processes, pid_t pid);

/** EXIT of a thread, at @time_ns or before. Unknown ones are fine, and those that have already. */
void processes_exit(struct processes *processes, pid_t tid, uint64_t time_ns);

/** COMM: a thread's new name. Return: 0, -ENOMEM. */
int processes_comm(struct processes *processes, pid_t pid, pid_t tid, const char *name);

/**
 * COMM with the exec flag: the process has a new program and its only thread is @pid.
 *
 * @source: of the record: the events that survived the exec
 * Return: 0, -ENOMEM.
 */
int processes_exec(struct processes *processes, pid_t pid, const char *name, perf_owner source);

/**
 * Free what had exited before the last sweep.
 *
 * @ask_kernel: records were lost: look in /proc for those whose EXIT was among them, and whose
 *              numbers others may have by now
 */
void processes_sweep(struct processes *processes, bool ask_kernel);

/** The profile has forgotten its threads: their labels are void. */
void processes_forget_labels(struct processes *processes);

/** Add the CPU time of live descendants of the targets, and of what those have waited for. */
void processes_add_cpu_time(const struct processes *processes, struct cpu_time *sum);

/** Records were lost: mappings of any process may be missing. */
void processes_doubt(struct processes *processes);

#endif
