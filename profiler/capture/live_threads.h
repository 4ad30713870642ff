/*
 * live_threads.h - the threads of the recorded processes, for engines that go and look at them
 * themselves: nothing tells these of births, ends, names and programs, so /proc is asked.
 *
 * A process is listed again when the number of its threads has changed, and ten times a second in
 * any case; its children then too, unless they are not to be followed. Descriptors are kept for
 * what is asked often. They also tell one process from another with its number, and one program
 * from the next: those of /proc/PID/task go with the process, that of /proc/PID/mem with the
 * program's memory.
 *
 * The kernel counts the CPU time of a process with all its threads, also of those that have ended.
 * What of it is in no sample is known by that, exactly as long as the process is there; of one that
 * has ended, as of when it was last listed.
 *
 * Depends on: base, processes.h, procfs.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_LIVE_THREADS_H
#define CPROF_CAPTURE_LIVE_THREADS_H

#include "processes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct live_thread {
	pid_t pid, tid;
	int syscall_fd;    /* /proc/PID/task/TID/syscall; -1 = opened for each look */
	bool has_ended;    /* its number may be another one's by now */
	uint64_t cpu_ns;   /* CPU time that samples have accounted for */
	uint64_t named_ns; /* when its name was last read; 0 = never */
};

struct live_process {
	pid_t pid;
	int task_fd;     /* /proc/PID/task */
	int mem_fd;      /* /proc/PID/mem of the program seen last; -1 = not readable */
	nlink_t n_links; /* of task_fd: changes with the number of threads */
	uint64_t listed_ns;
	uint64_t code_hash;     /* of its executable mappings */
	bool has_samples;       /* since those were looked at */
	uint64_t program;       /* where its code and stack begin; changes with an exec */
	size_t next_child_list; /* thread whose children are asked for next */
	uint64_t cpu_start_ns,
		cpu_seen_ns;         /* of its CPU clock: from when on it counts; last look */
	uint64_t sampled_ns;         /* CPU time that its samples stand for */
	struct live_thread *threads; /* by tid */
	size_t n, cap;
};

struct live_threads {
	struct processes *processes; /* borrowed */
	bool follow_children;
	bool tells_all; /* also threads that were not sampled become known to processes */
	/* filled here */
	struct live_process **items;
	size_t n, cap;
	size_t n_threads; /* of all */
	size_t n_fds, fds_max;
	uint64_t start_ns; /* of the recording */
	pid_t *older;      /* children from before it, as asked for since older_ns */
	size_t n_older, cap_older;
	uint64_t older_ns;
	uint64_t execs;                   /* programs that were seen to replace others */
	size_t next_process, next_thread; /* for live_threads_next() */
	uint64_t ended_unsampled_ns;      /* CPU time of ended processes that is in no sample */
	uint64_t ended_sampled_ns;        /* ... that their samples stand for */
};

/** @live: the fields up to tells_all set by the caller. */
void live_threads_init(struct live_threads *live);
void live_threads_deinit(struct live_threads *live);

/**
 * Record a process and the threads it has now, whose CPU time so far does not count.
 *
 * @born_now: it was born while recording: all its CPU time counts
 * Return: 0, -ESRCH, -ENOMEM.
 */
int live_threads_add(struct live_threads *live, pid_t pid, bool born_now);

/** List again what is due. Return: 0 or -ENOMEM. */
int live_threads_update(struct live_threads *live, uint64_t now_ns);

/**
 * The thread whose turn it is, with its process: n_threads calls give each one, unless threads have
 * come or gone meanwhile. Return: NULL when there is none.
 */
struct live_thread *live_threads_next(struct live_threads *live, struct live_process **out_process);

/** Look at the CPU clocks of all processes. */
void live_threads_look_at_clocks(struct live_threads *live);

/** CPU time of all processes up to the last look that no sample stands for. */
uint64_t live_threads_unsampled_ns(const struct live_threads *live);

/** The rest of it: that samples stand for. */
uint64_t live_threads_sampled_ns(const struct live_threads *live);

/** True when it runs, or waits for a CPU. Context: a system call; the thread is left alone. */
bool live_thread_is_running(struct live_thread *thread);

/** A file that is kept open, one of fds_max. Return: -1 when it cannot be. */
int live_threads_open_fd(struct live_threads *live, const char *path, int flags);

/** Close it, if it is open. */
void live_threads_close_fd(struct live_threads *live, int *fd);

/** The profile's thread, with the name it has now; names are read again now and then. */
struct thread *live_thread_named(struct live_threads *live, struct live_thread *thread,
				 uint64_t now_ns);

#endif
