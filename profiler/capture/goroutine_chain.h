/*
 * goroutine_chain.h - who called what Go's runtime does on a thread's own stack.
 *
 * systemstack() and its like leave the goroutine's stack for the thread's (unwind/stack_switch.h).
 * A copy of the stack has the thread's only, and what the goroutine's holds has changed long before
 * it could be read. But rbp is left as it was, all of Go's code keeps frame pointers, and the
 * kernel follows them when it takes the sample: its chain goes on on the goroutine's stack. What
 * called a function without a frame of its own is not in it, as systemstack() is, and
 * runtime.gcWriteBarrierCX() further out: a gap stands there, as the unwind information says.
 *
 * Believed only as a whole: the chain has the frame at which the stacks are changed, and all from
 * there on is Go's code, up to where goroutines begin.
 *
 * Depends on: unwind. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_GOROUTINE_CHAIN_H
#define CPROF_CAPTURE_GOROUTINE_CHAIN_H

#include "unwind/unwind.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the kernel gives at most: kernel.perf_event_max_stack is 127 unless it was raised. */
enum { GOROUTINE_CHAIN_MAX = 512 };

/* Among the look-up addresses: here one is left out. */
#define GOROUTINE_CHAIN_GAP UINT64_C(0)

/** True for a walk that ended where Go's runtime has left a goroutine's stack. */
bool goroutine_chain_is_cut(struct address_space *space, const struct unwind_result *cut);

/** True when one of the processes runs what Go's linker has made. */
bool goroutine_chain_is_wanted(const pid_t *pids, size_t n);

/**
 * The callers that the kernel's chain has beyond the frame at which a walk has left its stack.
 *
 * @cut:   goroutine_chain_is_cut()
 * @chain: of the sample, with the kernel's markers; not aligned
 * @pcs:   GOROUTINE_CHAIN_MAX look-up addresses and gaps, innermost first
 * Return: how many, up to the root; 0 when it cannot be told.
 */
size_t goroutine_chain_callers(struct address_space *space, const struct unwind_result *cut,
			       const uint64_t *chain, size_t n_chain, uint64_t *pcs);

#endif
