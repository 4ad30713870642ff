/*
 * ptrace_probe.h - may cprof stop the threads of a process for a moment? If not, why, and what
 * would open it.
 *
 * The one place that decides about the ptrace engine: `cprof record` uses its answer, `cprof
 * doctor` prints it. What is known of a process is read from /proc (or from files made for a test),
 * and judged apart from that.
 *
 * Depends on: procfs.h. Threads: any.
 */
#ifndef CPROF_CAPTURE_PTRACE_PROBE_H
#define CPROF_CAPTURE_PTRACE_PROBE_H

#include "procfs.h"

#include <stdbool.h>
#include <sys/types.h>

struct ptrace_facts {
	pid_t pid;
	bool exists, kernel_thread, has_ended, runs_32_bit;
	bool is_self;
	pid_t tracer; /* thread that traces it already; 0 = none */
	char tracer_name[PROCFS_COMM_MAX];
	int yama_scope; /* kernel.yama.ptrace_scope; -1 = this kernel has no Yama */
	uid_t uid;      /* effective, like ours */
	uid_t own_uid;
	bool capable;        /* we have CAP_SYS_PTRACE */
	bool is_descendant;  /* of us */
	bool has_filter;     /* we run under a seccomp filter */
	bool call_refused;   /* ptrace() says no whoever is asked for */
	bool memory_refused; /* so does process_vm_readv() */
	bool readable;       /* /proc/PID/syscall, which takes the permission to trace */
};

struct ptrace_probe {
	bool usable;
	int error;        /* when not usable: EPERM, ESRCH, EBUSY (traced by another), ENOTSUP */
	char reason[512]; /* a sentence; "" when usable */
	char remedy[512]; /* "" when usable, or when there is none */
};

/**
 * Look at a process.
 *
 * @root: in front of /proc: "" but in tests. call_refused and memory_refused stay false
 */
void ptrace_facts_read(const char *root, pid_t pid, struct ptrace_facts *out);

/** The decision table. */
void ptrace_probe_judge(const struct ptrace_facts *facts, struct ptrace_probe *out);

/** Both, and a try whether the system calls may be made at all. Nothing is traced. */
void ptrace_probe_run(pid_t pid, struct ptrace_probe *out);

#endif
