/*
 * frames.h - functions whose frames the unwinder is tested on.
 *
 * frames.c: in assembly, each with unwind information of a certain kind, right or wrong or none.
 * chain.c: in C, compiled with several options; each function tells frames_record() where it will
 * return to, which is what a walk has to find.
 */
#ifndef CPROF_TESTS_FRAMES_H
#define CPROF_TESTS_FRAMES_H

#include <stddef.h>

typedef void frames_callback(void);

/* Defined by the test: called by each function of a chain with its own return address. */
void frames_record(const void *return_address);

/* Call the callback from inside a frame ... */
void frames_plain(frames_callback *callback);
void frames_huge(frames_callback *callback);          /* of 64 KB */
void frames_expression(frames_callback *callback);    /* CFA by an expression over registers */
void frames_deref(frames_callback *callback);         /* CFA in memory, as after realignment */
void frames_rbp_undefined(frames_callback *callback); /* rbp is told to be lost, the rest not */
void frames_bare(frames_callback *callback);          /* no information, but a frame pointer */
void frames_bare_no_fp(frames_callback *callback);    /* no information, rbp = 0 */
void frames_stuck(frames_callback *callback);    /* wrong: the CFA is the stack pointer itself */
void frames_division(frames_callback *callback); /* an expression that divides */
void frames_jump(frames_callback *callback);     /* an expression that jumps back for ever */
void frames_bad_register(frames_callback *callback); /* CFA from register 60 */

/* ... of which @n bytes are taken with alloca(); the second one calls the first. */
void frames_alloca(size_t n, frames_callback *callback);
void frames_alloca_twice(size_t n, frames_callback *callback);

/* Its first instruction traps (SIGILL); the second one returns. */
void frames_trap(void);
extern const char frames_trap_pc[], frames_trap_end[];

/* The addresses that the callbacks of the functions above return to. */
extern const char frames_plain_ra[], frames_bare_ra[], frames_bare_no_fp_ra[], frames_deref_ra[];

/* In a function that has popped rbp, which its information does not say. */
extern const char frames_popped_ret[];

/* Chains: @depth levels over five functions in turns, then the callback. */
void chain_O0(int depth, frames_callback *callback);
void chain_O2(int depth, frames_callback *callback);
void chain_O2_fp(int depth, frames_callback *callback);
void chain_Os(int depth, frames_callback *callback);
void chain_O3(int depth, frames_callback *callback);

#endif
