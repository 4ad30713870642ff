/*
 * target_state.h - what /proc says about a process: enough to explain why it cannot be recorded, or
 * why nothing came of it.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_CLI_TARGET_STATE_H
#define CPROF_CLI_TARGET_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct target_state {
	pid_t pid;
	bool exists;
	char comm[64];
	char state;      /* R S D T Z ... as in proc(5) */
	uint64_t cpu_ns; /* user and system time of all threads, ended ones too */
	unsigned threads;
	bool kernel_thread;
	uid_t uid;          /* effective */
	bool maps_readable; /* else it is not ours to look into */
	bool other_mounts;  /* lives in another mount namespace: a container */
	bool other_pids;    /* ... in another PID namespace */
	bool not_x86_64;    /* its executable is of another machine or 32 bit */
};

/** Look. Fields that cannot be read keep 0; exists = false when there is no such process. */
void target_state_read(pid_t pid, struct target_state *out);

/** "sleeping", "stopped by a signal", ... */
const char *target_state_word(char state);

#endif
