/*
 * no_cfi.h - the caller of code without unwind information: hand-written assembly, the PLT that
 * lld makes, JIT code, the moment at which a thread is born.
 *
 * What such code did to the stack is said nowhere, so the instructions are looked at, of the file:
 * the one at the pc (a "ret" leaves no doubt), and the one before an address that may be a return
 * address, which has to be a call, and not one of some other function. Where several answers are
 * left the likelier one is taken. Every step made here is counted (n_fp_frames).
 *
 * Depends on: base, elf, rows, address_space.h, walk.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_NO_CFI_H
#define CPROF_UNWIND_NO_CFI_H

#include "walk.h"

/**
 * Step to the caller of walk->frame, whose code has no unwind information.
 *
 * @regs: of that frame; all but pc and sp need not be known for one that was not interrupted
 * @fp_known: rbp in @regs is the frame's
 * @next, @caller_fp: pc and sp of the caller, interrupted or not, and its rbp
 * Return: false with *stop set: END at a root, TRUNCATED, NO_CFI.
 * Context: reads files when their code is first asked for.
 */
bool no_cfi_step(struct walk *walk, const struct unwind_regs *regs, bool fp_known,
		 struct frame *next, uint64_t *caller_fp, enum cp_stop *stop);

/**
 * True when @avma is in the C library's __start_context, or where it begins: a coroutine's first
 * function returns to its first byte (makecontext(3)), behind which nothing is; so it is the root
 * of the stack. Its information, where it has some, leads into the ucontext.
 */
bool no_cfi_is_coroutine_root(struct address_space *space, uint64_t avma);

/* What an address in code without information was returned to for. */
enum no_cfi_entry {
	NO_CFI_CALLED,
	NO_CFI_ROOT,      /* of a coroutine: the walk is at its end */
	NO_CFI_SIGRETURN, /* a signal's trampoline (Go's, musl's): no call is before it */
};

enum no_cfi_entry no_cfi_entry_of(struct address_space *space, uint64_t avma);

/* The instruction before an address. */
enum no_cfi_call {
	NO_CFI_NO_CALL,       /* none, or its code cannot be read */
	NO_CFI_CALL_INDIRECT, /* through a pointer, a PLT entry or another place that only jumps on
			       */
	NO_CFI_CALL_DIRECT,
};

/** @target: avma of what is called; set with NO_CFI_CALL_DIRECT */
enum no_cfi_call no_cfi_call_before(struct address_space *space, uint64_t ra, uint64_t *target);

/** True when a call is right before @avma, or when its code cannot be read. */
bool no_cfi_is_after_call(struct address_space *space, uint64_t avma);

#endif
