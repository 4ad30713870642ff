/*
 * procfs.h - the small facts about processes that /proc tells.
 *
 * Everything here may be gone a moment later: a missing file is an ordinary answer.
 *
 * Depends on: base. Threads: any.
 */
#ifndef CPROF_CAPTURE_PROCFS_H
#define CPROF_CAPTURE_PROCFS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROCFS_COMM_MAX = 16, PROCFS_PATH_MAX = 4096 };

/**
 * Read a small file as text.
 *
 * @buf: NUL-terminated on success; what does not fit is cut off
 * Return: the bytes read, or -errno.
 */
ssize_t procfs_read(const char *path, char *buf, size_t cap);

/**
 * Is it the /proc of our own PID namespace? In another one our numbers mean other processes.
 *
 * @root: in front of /proc: "" but in tests
 * Return: 0 or -errno with a message that names the remedy.
 */
int procfs_check(const char *root, struct cp_err *err);

/** The number a file holds, or @missing. */
long procfs_number(const char *path, long missing);

/** A thread's name. Return: false when it is gone; @out untouched. */
bool procfs_comm(pid_t pid, pid_t tid, char out[PROCFS_COMM_MAX]);

struct procfs_stat {
	char state; /* of the first thread */
	long n_threads;
	bool kernel_thread;
	pid_t parent;
	uint64_t started_ns;         /* on CLOCK_MONOTONIC, to a clock tick (10 ms) */
	uint64_t user_ns, system_ns; /* of all its threads */
	uint64_t children_user_ns, children_system_ns; /* that it has waited for, and theirs */
};

/** Return: 0, -ESRCH when there is no such process, -EBADMSG. */
int procfs_stat(pid_t pid, struct procfs_stat *out);

/** True when the process is gone, or only waits to be reaped: no thread of it runs any more. */
bool procfs_has_ended(pid_t pid);

/** Effective owner and thread group of a task. Return: 0, -ESRCH, -EBADMSG. */
int procfs_owner(pid_t pid, uid_t *out_uid, pid_t *out_tgid);

/**
 * Who traces a task.
 *
 * @out_state: R S D T t ... as in proc(5), 0 when it is gone
 * Return: the tracing thread's number, 0 = nobody; also of one that our PID namespace does not show
 */
pid_t procfs_tracer(pid_t tid, char *out_state);

/** True when a task stands in a stop, or is at its end and waited for, of a tracer in process
 * @tracer. */
bool procfs_is_held_by(pid_t tid, pid_t tracer);

/**
 * The threads of a process at some moment.
 *
 * @tids, @cap: array as for CP_ARRAY_PUSH, refilled
 * Return: 0, -ESRCH, -ENOMEM.
 */
int procfs_threads(pid_t pid, pid_t **tids, size_t *n, size_t *cap);

/** All processes at some moment, as procfs_threads(). Return: 0, -ENOMEM, or why /proc is closed.
 */
int procfs_processes(pid_t **pids, size_t *n, size_t *cap);

/**
 * CPU time of all processes, and of interrupts, since the machine was started (/proc/stat).
 *
 * Return: 0, -ENOENT, -EBADMSG.
 */
int procfs_machine_time(uint64_t *out_user_ns, uint64_t *out_system_ns);

/** The command line, quoted for a shell; "" when there is none. Always NUL-terminated. */
void procfs_command(pid_t pid, char *buf, size_t cap);

/** Append one argument to a quoted command line. */
void procfs_quote(char *buf, size_t cap, const char *argument);

/** @root: in front of /proc: "" but in tests. Return: false also when it cannot be read. */
bool procfs_runs_32_bit(const char *root, pid_t pid);

/** Where the main executable's code is mapped. Return: false when unknown. */
bool procfs_exe_start(pid_t pid, uint64_t *out_avma);

/** Numbers of the online CPUs. Return: how many, at most @cap; at least 1. */
size_t procfs_online_cpus(int *cpus, size_t cap);

#endif
