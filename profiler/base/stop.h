/*
 * stop.h - why the walk of a stack ended.
 *
 * Kept with every sample, counted per recording and shown in every report: a stack that does not
 * reach its thread's root is never passed off as a complete one.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_BASE_STOP_H
#define CPROF_BASE_STOP_H

#include <stdbool.h>

enum cp_stop {
	CP_STOP_END,          /* reached the thread's root: the only complete one */
	CP_STOP_TRUNCATED,    /* the stack goes on beyond the bytes that were copied */
	CP_STOP_NO_MAP,       /* a pc that lies in no executable mapping we know */
	CP_STOP_NO_CFI,       /* the binary has no unwind information for this pc */
	CP_STOP_UNSUPPORTED,  /* unwind information that we cannot evaluate */
	CP_STOP_SP_BACKWARDS, /* the stack pointer did not move outward: corrupt or wrong CFI */
	CP_STOP_BAD_RA,       /* a return address that is no code */
	CP_STOP_DEPTH,        /* reached the root, but the middle is beyond the limit of frames */
	CP_STOP_NO_USER,      /* no user registers: a kernel thread, or a task that is exiting */
	CP_STOP_UNSEEN,       /* no stack was taken: of a time spent waiting */
	CP_STOP_COUNT
};

/*
 * Where the outer part of a stack comes from that goes on beyond the bytes copied with its sample.
 * Such a stack is never passed off as one that was seen whole at one moment.
 */
enum cp_joined {
	CP_JOINED_NO,        /* all of it is of the sample's moment */
	CP_JOINED_MEMORY,    /* read from the process some milliseconds later */
	CP_JOINED_CALLCHAIN, /* of an earlier stack of the same thread */
	/* of the sample's moment, by frame pointers from another stack, with a frame left out */
	CP_JOINED_FRAME_POINTERS,
	CP_JOINED_COUNT
};

/** The stable name: "no", "memory", "callchain", "frame_pointers". */
const char *cp_joined_name(enum cp_joined joined);

/** Return: false when the name is none of ours (@out untouched). */
bool cp_joined_parse(const char *name, enum cp_joined *out);

/** The stable name used in files and JSON: "end", "truncated", "no_map", ... */
const char *cp_stop_name(enum cp_stop stop);

/** The stop of a name. Return: false when the name is none of ours (@out untouched). */
bool cp_stop_parse(const char *name, enum cp_stop *out);

/** A sentence for people: what this stop means and what can be done about it. */
const char *cp_stop_advice(enum cp_stop stop);

/** True for those that reach their root, also with their middle left out (DEPTH). */
static inline bool cp_stop_has_root(enum cp_stop stop)
{
	return stop == CP_STOP_END || stop == CP_STOP_NO_USER || stop == CP_STOP_DEPTH;
}

/** True for the stacks that are whole: END, and NO_USER, which has no user part to miss. */
static inline bool cp_stop_is_complete(enum cp_stop stop)
{
	return stop == CP_STOP_END || stop == CP_STOP_NO_USER;
}

#endif
