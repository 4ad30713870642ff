/*
 * thread_copy.h - what was taken of one thread at one moment: registers, some of its stack, and
 * where it is in the kernel.
 *
 * Two ways give one: a stop (thread_stop.h), which knows all registers, and a look from outside
 * (thread_look.h), which knows pc and stack pointer and leaves the thread alone.
 *
 * Depends on: unwind. Threads: any.
 */
#ifndef CPROF_CAPTURE_THREAD_COPY_H
#define CPROF_CAPTURE_THREAD_COPY_H

#include "unwind/regs.h"
#include "unwind/unwind.h"

#include <stdbool.h>
#include <stdint.h>

struct thread_copy {
	uint64_t time_ns; /* on CLOCK_MONOTONIC */
	struct unwind_regs regs;
	uint32_t regs_known;       /* bits by DWARF number; pc and stack pointer always are */
	struct unwind_stack stack; /* bytes: the taker's, borrowed until it takes the next one */
	bool in_syscall;
	long syscall_nr; /* with in_syscall, like the arguments */
	uint64_t syscall_args[6];
	uint64_t pause_ns; /* the thread stood still for at most so long; 0 = it was not stopped */
};

#endif
