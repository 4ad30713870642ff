/*
 * stack_bounds.h - which memory around the stack pointer a walk may read.
 *
 * The words that unwind information points at are loaded without asking the kernel, so they must be
 * known to be mapped. A thread's own stack is: from the lowest stack pointer seen up to where it
 * starts, proven once by madvise and never unmapped while the thread runs. Any other stack
 * (makecontext, sigaltstack) may have been replaced since the last look and is proven anew for each
 * walk, with one system call.
 *
 * Depends on: sys.h. Threads: one struct per thread.
 */
#ifndef CPROF_HEAP_SHIM_STACK_BOUNDS_H
#define CPROF_HEAP_SHIM_STACK_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of one thread. */
struct thread_stack {
	uint64_t top;              /* where its own stack ends at most; 0 = not known */
	uint64_t own_lo, own_hi;   /* proven part of its own stack; own_hi 0 = none */
	bool is_main;              /* the initial thread's: it ends where the process began */
	uint64_t hint_lo, hint_hi; /* the part of another stack that the last walk needed */
};

/* Of one walk: [lo, hi) can be read. */
struct stack_range {
	uint64_t lo, hi;
	bool own;
};

/** Of the initial thread, whose stack is known to reach up to @end. */
void stack_bounds_init_main(struct thread_stack *stack, uint64_t sp, uint64_t end);

/** Of a thread that glibc made: its stack lies below its thread control block. */
void stack_bounds_init_thread(struct thread_stack *stack, uint64_t tcb);

/** The slow part of stack_bounds_begin(). */
void stack_bounds_find(struct thread_stack *stack, uint64_t sp, struct stack_range *range);

/** The range around @sp, where something is stored. */
static inline void stack_bounds_begin(struct thread_stack *stack, uint64_t sp,
				      struct stack_range *range)
{
	if (__builtin_expect(sp >= stack->own_lo && sp < stack->own_hi, 1))
		*range = (struct stack_range){sp, stack->own_hi, true};
	else
		stack_bounds_find(stack, sp, range);
}

/** Extend the range upwards for a word that lies beyond it. Return: false when it is not stack. */
bool stack_bounds_extend(struct thread_stack *stack, struct stack_range *range, uint64_t address);

/** Whether @sp is the stack pointer that the process began with. */
static inline bool stack_bounds_is_entry(const struct thread_stack *stack, uint64_t sp)
{
	return stack->is_main && sp < stack->top && stack->top - sp <= 16;
}

/** A walk has reached a thread's root at @sp: then this is the thread's own stack. */
void stack_bounds_rooted(struct thread_stack *stack, const struct stack_range *range, uint64_t sp);

#endif
