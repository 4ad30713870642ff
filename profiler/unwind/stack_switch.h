/*
 * stack_switch.h - where Go's runtime has moved a thread to another stack.
 *
 * systemstack, mcall, morestack, asmcgocall and, to call the vDSO, nanotime1 and walltime load the
 * stack pointer of the thread's own stack (g0), call, and come back. Their tables describe the
 * frame that they had before (cmd/internal/obj/x86 does not follow the load): what lies above on g0
 * is left over from earlier calls, and looks like callers. So such a place is known by its code,
 * and only in what Go's linker has made. It is one that has, less than 48 bytes before,
 *
 *     mov 0x38(reg), %rsp            g.sched.sp, at 0x38 of g in all of Go's versions since 1.5
 *     mov %rbx, %rsp; mov %rdi, %rdx   systemstack before Go 1.20
 *
 * which compiled code never has, and nothing else between the load and the call is that long. A few
 * instructions too many are taken for such a place, those behind the way back: their stacks end
 * there without need.
 *
 * Depends on: base, elf, address_space.h, walk.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_STACK_SWITCH_H
#define CPROF_UNWIND_STACK_SWITCH_H

#include "walk.h"

enum stack_switch {
	STACK_SWITCH_NONE,
	/* The callers are on the goroutine's stack. */
	STACK_SWITCH_AWAY,
	/*
	 * mcall: what it calls never returns, and has let go of the goroutine, which may be running
	 * elsewhere. It is the root of the scheduler's stack, as Go's own tracebacks have it.
	 */
	STACK_SWITCH_ROOT,
	/* The load may have been jumped over, on g0 already. rbp is the frame's, and tells. */
	STACK_SWITCH_MAYBE,
};

/** What a look-up address is. STACK_SWITCH_NONE also where the code cannot be read. */
enum stack_switch stack_switch_at(struct address_space *space, uint64_t lookup);

/**
 * Step from walk->frame, which is at such a place.
 *
 * @fp:  rbp, 0 = not known
 * Return: true: *next and *caller_fp are the caller's; else *stop is set, END or TRUNCATED, and
 *         walk->stack_swapped when the callers are on another stack.
 */
bool stack_switch_step(struct walk *walk, enum stack_switch kind, uint64_t fp, struct frame *next,
		       uint64_t *caller_fp, enum cp_stop *stop);

#endif
