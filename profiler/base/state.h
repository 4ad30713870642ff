/*
 * state.h - what a thread was doing when it was sampled, and how its stack came to be known.
 *
 * CPU profiles have no states: whatever is sampled there runs. Profiles of waiting (wall clock,
 * off-CPU) say with each sample what the time was spent on.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_BASE_STATE_H
#define CPROF_BASE_STATE_H

#include <stdbool.h>

enum cp_state {
	CP_STATE_NONE,       /* not said: a CPU profile, or another producer's */
	CP_STATE_RUNNING,    /* on a CPU */
	CP_STATE_RUNNABLE,   /* could run, but waits for a CPU */
	CP_STATE_LOCK,       /* a futex: mutexes, condition variables, joins */
	CP_STATE_IO,         /* a file, a socket, a pipe */
	CP_STATE_SLEEP,      /* for a time to pass */
	CP_STATE_POLL,       /* for one of several descriptors: select, poll, epoll */
	CP_STATE_CHILD,      /* for a child process to end */
	CP_STATE_PAGE_FAULT, /* for a page of memory to be brought in */
	CP_STATE_STOPPED,    /* by job control or a tracer */
	CP_STATE_WAIT,       /* for something else, or for what is not known */
	CP_STATE_COUNT
};

/* What of a sample's stack was not seen but concluded. Such a stack is never passed off as seen. */
enum cp_inferred {
	CP_INFERRED_NO,
	CP_INFERRED_FRAMES, /* a register was not known: callers were searched for on the stack */
	CP_INFERRED_WAIT,   /* the stack is that of another wait of the thread, of the same kind */
	CP_INFERRED_COUNT
};

/** The stable name used in files and JSON: "none", "running", "runnable", "lock", ... */
const char *cp_state_name(enum cp_state state);

/** For people: "on a CPU", "waiting for a CPU", "lock", ... */
const char *cp_state_title(enum cp_state state);

/** The state of a name. Return: false when the name is none of ours (@out untouched). */
bool cp_state_parse(const char *name, enum cp_state *out);

/** The stable name: "no", "frames", "wait". */
const char *cp_inferred_name(enum cp_inferred inferred);

/** Return: false when the name is none of ours (@out untouched). */
bool cp_inferred_parse(const char *name, enum cp_inferred *out);

/** True for the states of a thread that could not have gone on by itself. */
static inline bool cp_state_is_blocked(enum cp_state state)
{
	return state >= CP_STATE_LOCK;
}

#endif
