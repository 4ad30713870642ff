/*
 * stepper.h - one step of a walk by unwind information: libunwind on copied bytes.
 *
 * libunwind parses the tables and applies the rule; finding the tables, memory and the cache are
 * ours. unw_step() (of 1.6.2) is not used: it takes a lock and changes the signal mask twice a
 * step, its cache does not tell a return address from an interrupted pc and has 256 chains whatever
 * its size, it guesses where there is no information, and takes a lost rbp for the end of the
 * stack. Instead the rules of each function are taken once (unw_reg_states_iterate), kept, and
 * applied (unw_apply_reg_state).
 *
 * Depends on: base, elf, address_space.h, unwind.h, libunwind. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_REMOTE_STEPPER_H
#define CPROF_UNWIND_REMOTE_STEPPER_H

#include "unwind/unwind.h"

struct stepper;

/** @space: borrowed. Return: 0 or -ENOMEM. */
int stepper_create(struct address_space *space, struct stepper **out);
void stepper_destroy(struct stepper *stepper);

/* The rule of a look-up address; valid until the next call of stepper_find(). */
struct step_rule {
	enum step_rule_kind {
		RULE_CFI,
		RULE_NO_MAP,      /* the address lies in no executable mapping */
		RULE_NO_CFI,      /* in code without unwind information */
		RULE_UNSUPPORTED, /* with some that we cannot evaluate */
	} kind;
	bool signal_frame; /* the caller was interrupted, not calling */
	void *state;       /* libunwind's, with RULE_CFI */
};

/** Forget all rules when the mappings changed since the last walk. Call before each walk. */
void stepper_sync(struct stepper *stepper);

struct step_rule stepper_find(struct stepper *stepper, uint64_t lookup_avma);

/**
 * Set the innermost frame, or a frame that was found in another way.
 *
 * @stack: borrowed until the next call
 * @known: bit n: regs->r[n] holds that register's value
 */
void stepper_start(struct stepper *stepper, const struct unwind_regs *regs, uint32_t known,
		   const struct unwind_stack *stack);

/** The registers of the current frame as far as they can be told. Return: the mask of those. */
uint32_t stepper_regs(struct stepper *stepper, struct unwind_regs *out);

enum step_result {
	STEP_CALLER,      /* now at the caller */
	STEP_ROOT,        /* the information says that there is no caller */
	STEP_UNREADABLE,  /* the rule needs memory that is not at hand: *fault_avma */
	STEP_STUCK,       /* the rule leads nowhere: same pc and stack pointer */
	STEP_UNSUPPORTED, /* the rule cannot be evaluated */
};

/**
 * Step from the current frame, at @lookup_avma, to its caller.
 *
 * @rule:  of @lookup_avma, RULE_CFI
 * @pc:    of the caller, with STEP_CALLER; @sp: likewise
 */
enum step_result stepper_apply(struct stepper *stepper, uint64_t lookup_avma,
			       const struct step_rule *rule, uint64_t *pc, uint64_t *sp,
			       uint64_t *fault_avma);

#endif
