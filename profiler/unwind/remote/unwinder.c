/*
 * The walk: by compiled rows, and by libunwind for the stacks that have a frame whose rule rows
 * cannot say. How a frame is left by libunwind is the stepper's matter.
 */
#include "unwind/unwind.h"

#include "stepper.h"
#include "unwind/no_cfi.h"
#include "unwind/rows_walk.h"
#include "unwind/stack_switch.h"

#include <errno.h>
#include <stdlib.h>

struct unwinder {
	struct address_space *space; /* borrowed */
	enum unwind_engine engine;
	struct rows_walker *rows;
	struct stepper *stepper; /* NULL until a walk needs it */
};

int unwinder_create(struct address_space *space, struct unwinder **out)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
	if (!unwinder)
		return -ENOMEM;
	unwinder->space = space;
	const int ret = rows_walker_create(space, &unwinder->rows);
	if (ret) {
		unwinder_destroy(unwinder);
		return ret;
	}
	*out = unwinder;
	return 0;
}

void unwinder_destroy(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	rows_walker_destroy(unwinder->rows);
	stepper_destroy(unwinder->stepper);
	free(unwinder);
}

void unwinder_set_engine(struct unwinder *unwinder, enum unwind_engine engine)
{
	unwinder->engine = engine;
}

/* A step by unwind information. Return: true when @next is the caller; else @stop is set. */
static bool step_by_rule(struct stepper *stepper, struct walk *walk, const struct step_rule *rule,
			 struct frame *next, enum cp_stop *stop)
{
	uint64_t fault;
	switch (stepper_apply(stepper, walk->frame.lookup, rule, &next->pc, &next->sp, &fault)) {
	case STEP_CALLER:
		break;
	case STEP_ROOT:
		*stop = CP_STOP_END;
		return false;
	case STEP_UNREADABLE:
		*stop = walk_stop_of_fault(walk, fault);
		return false;
	case STEP_STUCK:
		*stop = CP_STOP_SP_BACKWARDS;
		return false;
	default:
		*stop = CP_STOP_UNSUPPORTED;
		return false;
	}
	next->interrupted = rule->signal_frame;
	return walk_accept(walk, next, stop);
}

static bool step_without_rule(struct stepper *stepper, struct walk *walk, struct frame *next,
			      enum cp_stop *stop)
{
	struct unwind_regs regs;
	const uint32_t known = stepper_regs(stepper, &regs);
	uint64_t caller_fp;
	if (!no_cfi_step(walk, &regs, known & unwind_regs_fp_bit(), next, &caller_fp, stop) ||
	    stepper_find(stepper, unwind_lookup_pc(next->pc, !next->interrupted)).kind ==
		    RULE_NO_MAP)
		return false;
	unwind_regs_set_pc(&regs, next->pc);
	unwind_regs_set_sp(&regs, next->sp);
	unwind_regs_set_fp(&regs, caller_fp);
	/* of what a signal interrupted, no more is known than rows know */
	stepper_start(stepper, &regs, next->interrupted ? known & unwind_regs_walk_bits() : known,
		      walk->stack);
	return true;
}

static bool step_over_switch(struct stepper *stepper, struct walk *walk, enum stack_switch kind,
			     struct frame *next, enum cp_stop *stop)
{
	struct unwind_regs regs;
	uint64_t caller_fp;
	const bool fp_known = stepper_regs(stepper, &regs) & unwind_regs_fp_bit();
	if (!stack_switch_step(walk, kind, fp_known ? unwind_regs_fp(&regs) : 0, next, &caller_fp,
			       stop))
		return false;
	unwind_regs_set_pc(&regs, next->pc);
	unwind_regs_set_sp(&regs, next->sp);
	unwind_regs_set_fp(&regs, caller_fp);
	stepper_start(stepper, &regs, unwind_regs_walk_bits(), walk->stack);
	return true;
}

/* As the rows' walk does: a thread inside a signal trampoline's system call is behind its end. */
static struct step_rule find_leaf_rule(struct stepper *stepper, uint64_t *lookup)
{
	if (stepper_find(stepper, *lookup).kind == RULE_NO_CFI) {
		const struct step_rule before = stepper_find(stepper, *lookup - 1);
		if (before.kind == RULE_CFI && before.signal_frame) {
			--*lookup;
			return before;
		}
	}
	return stepper_find(stepper, *lookup);
}

/*
 * Nothing has called where the unwinder of libgcc jumps to: a landing pad. It does so through a
 * register, with the stack as it is.
 */
static bool is_entered(const struct walk *walk, const struct frame *next)
{
	return next->interrupted ||
	       (next->sp == walk->frame.sp && !no_cfi_is_after_call(walk->space, next->pc));
}

/* @rule: of walk->frame. Return: true when @next is the caller; else @stop is set. */
static bool step(struct stepper *stepper, struct walk *walk, const struct step_rule *rule,
		 struct frame *next, enum cp_stop *stop)
{
	const enum stack_switch kind = stack_switch_at(walk->space, walk->frame.lookup);
	*stop = CP_STOP_UNSUPPORTED;
	if (rule->kind == RULE_NO_MAP)
		*stop = walk_stop_of_unmapped(walk->frame.pc);
	else if (kind != STACK_SWITCH_NONE)
		return step_over_switch(stepper, walk, kind, next, stop);
	else if (rule->kind == RULE_CFI)
		return step_by_rule(stepper, walk, rule, next, stop);
	else if (rule->kind == RULE_NO_CFI)
		return step_without_rule(stepper, walk, next, stop);
	return false;
}

static enum cp_stop walk_out(struct stepper *stepper, struct walk *walk,
			     struct unwind_result *result)
{
	struct step_rule rule = find_leaf_rule(stepper, &walk->frame.lookup);
	result->pcs[0] = walk->frame.lookup;
	for (;;) {
		struct frame next;
		enum cp_stop stop;
		const bool by_frame_pointer = rule.kind == RULE_NO_CFI;
		if (!step(stepper, walk, &rule, &next, &stop))
			return stop;
		next.lookup = unwind_lookup_pc(next.pc, !is_entered(walk, &next));
		rule = stepper_find(stepper, next.lookup);
		if (rule.kind == RULE_NO_MAP)
			return no_cfi_is_coroutine_root(walk->space, walk->frame.lookup)
				       ? CP_STOP_END
				       : walk_stop_of_unmapped(next.pc);
		const enum no_cfi_entry entry = rule.kind == RULE_NO_CFI && !next.interrupted
							? no_cfi_entry_of(walk->space, next.pc)
							: NO_CFI_CALLED;
		if (rule.signal_frame || entry != NO_CFI_CALLED) /* entered, not returned to */
			next.lookup = unwind_lookup_pc(next.pc, false);
		if (!walk_push(walk, &next, result))
			return CP_STOP_SP_BACKWARDS; /* more frames than words of stack */
		result->n_fp_frames += by_frame_pointer;
		if (entry == NO_CFI_ROOT)
			return CP_STOP_END;
		walk->frame = next;
	}
}

static void walk_by_libunwind(struct unwinder *unwinder, const struct unwind_regs *regs,
			      uint32_t known, const struct unwind_stack *stack,
			      struct unwind_result *result)
{
	result->by_libunwind = true;
	result->stop = CP_STOP_UNSUPPORTED;
	if (!unwinder->stepper && stepper_create(unwinder->space, &unwinder->stepper) != 0)
		return;
	const uint64_t pc = unwind_regs_pc(regs);
	struct walk walk = {
		.space = unwinder->space,
		.stack = stack,
		.frame = {.pc = pc, .sp = unwind_regs_sp(regs), .lookup = pc, .interrupted = true},
	};
	stepper_sync(unwinder->stepper);
	stepper_start(unwinder->stepper, regs, known, stack);
	result->stop = walk_out(unwinder->stepper, &walk, result);
	/* a register without a value is all that makes a rule fail that can be evaluated */
	struct unwind_regs unused;
	result->needs_fp =
		!(known & unwind_regs_fp_bit()) &&
		(result->stop == CP_STOP_UNSUPPORTED || result->stop == CP_STOP_NO_CFI) &&
		!(stepper_regs(unwinder->stepper, &unused) & unwind_regs_fp_bit());
	if (result->needs_fp)
		result->stop = CP_STOP_TRUNCATED;
	result->left_copy = walk.stack_swapped;
}

/* The result of a walk that found nothing but the interrupted pc. */
static void begin_result(const struct unwind_regs *regs, struct unwind_result *result)
{
	result->n = 1;
	result->n_omitted = 0;
	result->pcs[0] = unwind_lookup_pc(unwind_regs_pc(regs), false);
	if (result->sps)
		result->sps[0] = unwind_regs_sp(regs);
	result->n_fp_frames = 0;
	result->left_copy = false;
	result->needs_fp = false;
	result->by_libunwind = false;
}

void unwinder_walk_known(struct unwinder *unwinder, const struct unwind_regs *regs, uint32_t known,
			 const struct unwind_stack *stack, struct unwind_result *result)
{
	const bool fp_known = known & unwind_regs_fp_bit();
	if (result->cap == 0) {
		result->n = result->n_omitted = result->n_fp_frames = 0;
		result->by_libunwind = result->needs_fp = false;
		result->stop = CP_STOP_DEPTH;
		return;
	}
	begin_result(regs, result);
	if (unwinder->engine != UNWIND_AUTO ||
	    !rows_walker_walk(unwinder->rows, regs, fp_known, stack, result)) {
		begin_result(regs, result);
		walk_by_libunwind(unwinder, regs, known, stack, result);
	}
	walk_finish(result);
}

void unwinder_walk(struct unwinder *unwinder, const struct unwind_regs *regs,
		   const struct unwind_stack *stack, struct unwind_result *result)
{
	unwinder_walk_known(unwinder, regs, unwind_regs_all_bits(), stack, result);
}
