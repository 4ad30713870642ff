/*
 * stack_join.h - complete the stacks that were cut, as far as that can be told to be right.
 *
 * First from memory (stack_memory.h): it is looked at after the sample, must be equal where both
 * overlap, and the walk through it must lead to what the thread's last whole stack says, which is
 * of before. That is evidence from both sides, so it is tried first and marked CP_JOINED_MEMORY.
 * Where memory has changed or is not ours to read, the last whole stack alone, if its innermost
 * frames are those where the walk was cut: CP_JOINED_CALLCHAIN. Both only where the thread's outer
 * part was found not to change (stack_history.h); else the stack stays cut, and the reason is
 * counted.
 *
 * A signal's handler on another stack has not been cut short by the copy, but left it. What it has
 * interrupted is read from memory together with the signal's frame: all registers, the mask, what
 * the signal told and most vector registers. These being the sample's still, the same handler is
 * running, or it was entered again from the same instruction with all of them equal: from a loop
 * that can happen, below other callers too. So this is believed under the same condition.
 *
 * The kernel's copy ends at a page that is not in memory, too: a large array of which only a part
 * was touched. Such a stack is read beyond it, and believed under the same conditions.
 *
 * Bytes of functions that have been left stay where they were, and at one place most of all: on a
 * busy machine the kernel wakes us when the thread next leaves a system call, be it far out. So
 * what memory has of the frame at which the walk was cut must also be the return address of a call
 * of that function, as far as the call tells.
 *
 * What it costs is bounded: a stack that was walked to the root lately is only looked for again,
 * return address by return address; one that is deeper than is read is left alone for a while; and
 * what the looks take of a CPU is measured, and ends them for the moment when it is a 25th.
 *
 * Depends on: base, unwind, stack_history.h, stack_memory.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_STACK_JOIN_H
#define CPROF_CAPTURE_STACK_JOIN_H

#include "base/stop.h"
#include "stack_history.h"
#include "stack_memory.h"

#include <stdint.h>
#include <sys/types.h>

/* Of a stack that is walked through memory: 1 MB, and the copy, of frames of 16 bytes. */
enum { STACK_JOIN_MAX_FRAMES = (STACK_MEMORY_MAX_BYTES + (1 << 16)) / 16 };

/* What looks may take: a share of a CPU, and so much at once. */
enum { STACK_JOIN_CPU_SHARE = 25 }; /* one 25th */
#define STACK_JOIN_CPU_BURST_NS INT64_C(50000000)

/* Why a stack stayed cut. */
enum stack_join_failure {
	STACK_JOIN_CHANGED,     /* the thread had moved on when memory was read */
	STACK_JOIN_GONE,        /* the process had ended */
	STACK_JOIN_REFUSED,     /* reading its memory is not permitted */
	STACK_JOIN_NO_ROOT,     /* the walk through memory did not reach the root either */
	STACK_JOIN_UNSETTLED,   /* the outer part changes, or was not seen often enough yet */
	STACK_JOIN_NOT_PRESENT, /* what the walk needs lies in a page that is not in memory */
	STACK_JOIN_TOO_DEEP,    /* the root is further out than memory is read */
	STACK_JOIN_TOO_COSTLY,  /* the looks' share of a CPU was used up */
	STACK_JOIN_FAILURES
};

struct stack_join_counts {
	uint64_t joined[CP_JOINED_COUNT]; /* [CP_JOINED_NO] unused */
	uint64_t failed[STACK_JOIN_FAILURES];
};

struct stack_join {
	struct stack_histories histories;
	struct stack_memory memory;
	uint64_t *pcs, *sps;              /* of the walk through memory */
	struct stack_join_counts *counts; /* borrowed */
	int64_t cpu_left_ns;              /* for looks; below 0 = none now */
	uint64_t refilled_ns;
};

/* A sample's stack and whose it is. */
struct stack_join_sample {
	pid_t pid;
	struct address_space *space; /* of that process */
	uint64_t *thread_key; /* of the thread: 0 at first, kept by the caller, changed here */
	uint64_t time_ns;
	const struct unwind_regs *regs;
	const struct unwind_stack *stack;
};

/** @counts: counted up from what they are. Return: 0 or -ENOMEM. */
int stack_join_init(struct stack_join *join, struct stack_join_counts *counts);

/** All-zero is accepted. */
void stack_join_deinit(struct stack_join *join);

/**
 * Look at the walk of a sample: complete it when it was cut, learn from it when it is whole.
 *
 * @result: with its sps and UNWIND_MAX_FRAMES frames at most; replaced when it could be completed
 * Return: where its outer part is from.
 * Context: some system calls for each read, of which there are three at most; see stack_memory.h.
 */
enum cp_joined stack_join_look(struct stack_join *join, struct unwinder *unwinder,
			       const struct stack_join_sample *sample,
			       struct unwind_result *result);

/** Looks so far at which it mattered how long ago the sample was taken. Only ever grows. */
static inline uint64_t stack_join_urgent(const struct stack_join_counts *counts)
{
	return counts->joined[CP_JOINED_MEMORY] + counts->failed[STACK_JOIN_UNSETTLED] +
	       counts->failed[STACK_JOIN_CHANGED];
}

/** The stable name of a failure in files: "changed", "gone", "refused", "no_root", "unsettled",
 * "not_present", "too_deep", "too_costly". */
const char *stack_join_failure_name(enum stack_join_failure failure);

#endif
