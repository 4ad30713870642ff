/*
 * unwind.h - from the registers and the stack bytes of a sample to its frames.
 *
 * Nothing is read from the running target: a walk sees the copied stack and the files behind the
 * mappings, so it may run long after the sample was taken. Every walk ends with a reason; the
 * frames before it are what unwind information says, but for n_fp_frames of them.
 *
 * Depends on: base, address_space.h, libunwind. Threads: one at a time per unwinder.
 */
#ifndef CPROF_UNWIND_UNWIND_H
#define CPROF_UNWIND_UNWIND_H

#include "address_space.h"
#include "base/err.h"
#include "base/stop.h"
#include "regs.h"

enum { UNWIND_MAX_FRAMES = 2048 };

/*
 * Frames that are kept of the leaf's side when a stack has more than fit; the others are of the
 * root's side. What is left out lies between them: who called and what was running are what a
 * profile is read for.
 */
static inline size_t unwind_leaf_side(size_t cap)
{
	return (cap + 1) / 2;
}

/* The part of a thread's stack that was copied when the sample was taken. */
struct unwind_stack {
	uint64_t sp; /* avma of bytes[0] */
	const uint8_t *bytes;
	size_t n_bytes;
	/*
	 * False: the copy ended by itself, at the end of the stack's mapping or at a page that was
	 * not present, and not because as much was copied as was asked for.
	 */
	bool maybe_more;
};

struct unwind_result {
	/*
	 * Look-up addresses (avma), pcs[0] = leaf: the interrupted pc itself for the leaf and for
	 * a frame that a signal interrupted, the trampoline that the kernel has a signal handler
	 * return to, which nothing has called, and return address - 1 for all others, so that each
	 * lies inside the instruction that was or will be executing.
	 */
	uint64_t *pcs; /* the caller's array */
	size_t cap;    /* frames; a profile keeps UNWIND_MAX_FRAMES */
	/*
	 * The stack pointer of each frame: of the leaf as sampled, of a caller what it was before
	 * its call pushed the return address. The caller's array of cap, or NULL.
	 */
	uint64_t *sps;
	size_t n;
	size_t n_omitted; /* frames between pcs[unwind_leaf_side(cap) - 1] and the next one */
	enum cp_stop stop;
	/* With CP_STOP_TRUNCATED: the stack goes on at another place, of which there is no copy. */
	bool left_copy;
	/*
	 * The walk ended at its last frame because that frame's rule needs rbp, and rbp was not
	 * known (unwinder_walk_known()). It is the leaf's: no frame further in has changed it.
	 */
	bool needs_fp;
	size_t n_fp_frames; /* steps made without CFI: by frame pointer, by code (no_cfi.h) */
	bool by_libunwind;  /* all of it, and not by compiled rows */
};

enum unwind_engine {
	UNWIND_AUTO,      /* compiled rows; libunwind for stacks that rows cannot say */
	UNWIND_LIBUNWIND, /* libunwind throughout */
};

struct unwinder; /* of one process: its caches */

/** @space: borrowed; must outlive the unwinder. Return: 0 or -ENOMEM. Its engine is UNWIND_AUTO. */
int unwinder_create(struct address_space *space, struct unwinder **out);
void unwinder_destroy(struct unwinder *unwinder);

void unwinder_set_engine(struct unwinder *unwinder, enum unwind_engine engine);

/**
 * Walk one sample's stack.
 *
 * @regs, @stack: borrowed for the call
 * @result: pcs and cap set by the caller, the rest filled; n >= 1 when cap >= 1
 * Context: no system call once the binaries are open; time bounded by the depth.
 */
void unwinder_walk(struct unwinder *unwinder, const struct unwind_regs *regs,
		   const struct unwind_stack *stack, struct unwind_result *result);

/**
 * The same for a thread of which not all registers are known, as of one that waits in the kernel.
 *
 * @known: by DWARF number; pc and stack pointer have to be. Where rbp is not, the walk goes on as
 *         long as frames are found from the stack pointer, and as soon as one has saved rbp, it is
 *         known. Else it ends as CP_STOP_TRUNCATED with @result->needs_fp.
 */
void unwinder_walk_known(struct unwinder *unwinder, const struct unwind_regs *regs, uint32_t known,
			 const struct unwind_stack *stack, struct unwind_result *result);

/**
 * The one place that turns a pc into the address to look it up at.
 *
 * @is_return_address: false for the leaf, for a signal's trampoline, and for a frame under one
 */
static inline uint64_t unwind_lookup_pc(uint64_t pc, bool is_return_address)
{
	return is_return_address && pc ? pc - 1 : pc;
}

#endif
