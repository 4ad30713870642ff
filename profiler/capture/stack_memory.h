/*
 * stack_memory.h - the outer part of a stack, read from the process after the sample was taken.
 *
 * The kernel copies at most 64 KB of stack with a sample. What lies above is still there when the
 * sample is read some milliseconds later, unless the thread has returned that far. One
 * process_vm_readv() takes it: no stop, no signal; the process can at most wait for a lock of its
 * address space for the microseconds that the copy takes, as when another of its threads faults.
 *
 * The read begins inside the copy, and both must agree there: at least STACK_MEMORY_OVERLAP_MIN
 * bytes, and the last STACK_MEMORY_FRAMES callers of the walk with all that is in them - return
 * addresses, saved registers, locals. While a function's callee runs, its frame changes only
 * through pointers; once it was returned to, or left and entered again, it mostly has changed. So
 * different bytes mean that the thread has moved on, and the sample stays cut. Equal bytes do not
 * prove that it has not: it may have done the same once more, under other callers. What that takes
 * is stack_history.h's matter.
 *
 * What is read: from inside the copy up to where the caller expects the root, or as far as the walk
 * has come to need, at most STACK_MEMORY_MAX_BYTES above the copy: at 100 to 200 us a MB, and as
 * long to walk, more would keep the recorder from the rings. Pages that are not in memory, by
 * /proc/PID/pagemap, are left out: they were swapped out or never touched, as those of a large
 * local array, where the kernel's copy ends too. So no page of the target is faulted in and none is
 * waited for (swap, a file, userfaultfd(2)), but for one that goes away in the microseconds
 * between. What was left out reads as STACK_MEMORY_ABSENT in every byte, which is neither a return
 * address nor a frame pointer: a walk that needs it does not reach the root. Where a stack ends and
 * another mapping follows, bytes of that are read too, and no walk uses them but one that has
 * passed the root. A read serves all samples that are older than it.
 *
 * Depends on: unwind.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_STACK_MEMORY_H
#define CPROF_CAPTURE_STACK_MEMORY_H

#include "unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	STACK_MEMORY_MAX_BYTES = 1 << 20,
	STACK_MEMORY_OVERLAP_MIN = 512,
	STACK_MEMORY_FRAMES = 4,
	STACK_MEMORY_ABSENT = 0xff,
};

enum stack_memory_status {
	STACK_MEMORY_SAME,    /* the overlap is equal */
	STACK_MEMORY_CHANGED, /* it is not, or is not in memory any more */
	STACK_MEMORY_GONE,    /* no such process */
	STACK_MEMORY_REFUSED, /* not permitted, as ptrace would not be */
};

struct stack_memory {
	pid_t pid;     /* of the last read; 0 = none */
	uint64_t avma; /* of bytes[0] */
	size_t n_bytes;
	uint64_t until;   /* avma up to which was asked for */
	bool has_absent;  /* pages up to there were not in memory */
	uint64_t read_ns; /* when the last read began */
	uint8_t *bytes;   /* owned; NULL until needed */
	uint8_t *whole;   /* the copy and what was read behind it; owned */
};

/** All-zero is the initial state. */
void stack_memory_deinit(struct stack_memory *memory);

/**
 * Add to a sample's copy of the stack what lies above it.
 *
 * @overlap_bytes: of the end of the copy that must be equal, <= stack->n_bytes
 * @sample_ns:     when it was taken, on CLOCK_MONOTONIC
 * @until:         avma where to stop, above the copy, by STACK_MEMORY_MAX_BYTES at most
 * @whole:         set with STACK_MEMORY_SAME; its bytes are borrowed until the next call
 * Context: four system calls, or none; memory of 2 MB from the first call on.
 */
enum stack_memory_status stack_memory_extend(struct stack_memory *memory, pid_t pid,
					     uint64_t sample_ns, const struct unwind_stack *stack,
					     size_t overlap_bytes, uint64_t until,
					     struct unwind_stack *whole);

/**
 * The same without the copy: read what lies above it, if need be, and compare.
 *
 * Return: as above; with STACK_MEMORY_SAME, bytes up to @until are at hand for stack_memory_word().
 */
enum stack_memory_status stack_memory_look(struct stack_memory *memory, pid_t pid,
					   uint64_t sample_ns, const struct unwind_stack *stack,
					   size_t overlap_bytes, uint64_t until);

/** A word of what was read last. Return: false outside. */
bool stack_memory_word(const struct stack_memory *memory, uint64_t avma, uint64_t *out);

/**
 * Another stack of the thread, which a frame on the copied one says that it has left for it.
 *
 * That stack is read first, then the frame. Are the frame's bytes those of the sample still, then
 * the thread has not returned to the other stack, and nothing there has moved, unless it has
 * returned and come back with all of them the same: as above, stack_history.h's matter.
 *
 * @sp:    where to read
 * @until: avma where to stop, up to STACK_MEMORY_MAX_BYTES above
 * @frame: inside the copy, avma and bytes
 * @other: set with STACK_MEMORY_SAME; its bytes are borrowed until the next call
 * Context: eight system calls; memory as above.
 */
enum stack_memory_status stack_memory_other(struct stack_memory *memory, pid_t pid, uint64_t sp,
					    uint64_t until, const struct unwind_stack *frame,
					    struct unwind_stack *other);

/**
 * A word anywhere in the process' memory, such as a pointer of its PLT.
 *
 * Return: false when its page is not in memory, or may not be read: none is faulted in here either.
 * Context: four system calls; no memory.
 */
bool stack_memory_peek(pid_t pid, uint64_t avma, uint64_t *out);

/** The overlap that a walk that was cut asks for. @result: with its sps */
size_t stack_memory_overlap(const struct unwind_result *result, const struct unwind_stack *stack);

#endif
