/*
 * cfi_step.h - one frame outward by a row.
 *
 * Freestanding, and inline: a walk costs a few nanoseconds a frame.
 *
 * Depends on: cfi_rows.h. Threads: any.
 */
#ifndef CPROF_UNWIND_ROWS_CFI_STEP_H
#define CPROF_UNWIND_ROWS_CFI_STEP_H

#include "cfi_rows.h"

struct cfi_regs {
	uint64_t rip, rsp, rbp;
};

/* The bytes that can be read: a copy of [start, start + n) of the stack. */
struct cfi_stack {
	uint64_t start;
	const uint8_t *bytes;
	size_t n;
};

enum cfi_step {
	CFI_STEP_OK,     /* @regs are the caller's; rip is a return address */
	CFI_STEP_SIGNAL, /* @regs are those a signal interrupted; rip is exact */
	CFI_STEP_END,    /* the frame was the root */
	CFI_STEP_NO_CFI, /* CFI_NONE */
	CFI_STEP_UNSUPPORTED,
	CFI_STEP_NO_MEM,    /* a word outside the stack: *missing is its address */
	CFI_STEP_BACKWARDS, /* the CFA is not above rsp */
};

static inline bool cfi_stack_read(const struct cfi_stack *stack, uint64_t address, uint64_t *out)
{
	uint64_t at = address - stack->start;
	if (at >= stack->n || stack->n - at < 8)
		return false;
	__builtin_memcpy(out, stack->bytes + at, 8);
	return true;
}

enum cfi_step cfi_step_signal(const struct cfi_stack *stack, struct cfi_regs *regs,
			      uint64_t *missing);

/**
 * @regs:    of the frame; replaced on CFI_STEP_OK and CFI_STEP_SIGNAL only
 * @missing: set on CFI_STEP_NO_MEM
 */
static inline enum cfi_step cfi_step(cfi_rule rule, const struct cfi_stack *stack,
				     struct cfi_regs *regs, uint64_t *missing)
{
	uint64_t cfa;
	switch (cfi_rule_kind(rule)) {
	case CFI_RSP:
		cfa = regs->rsp + (uint64_t)cfi_rule_offset(rule);
		break;
	case CFI_RBP:
		cfa = regs->rbp + (uint64_t)cfi_rule_offset(rule);
		break;
	case CFI_PLT:
		cfa = regs->rsp + 8;
		if ((regs->rip & 15) >= (uint64_t)cfi_rule_offset(rule))
			cfa += 8;
		break;
	case CFI_DEREF_RBP:
	case CFI_DEREF_RSP:
		cfa = (cfi_rule_kind(rule) == CFI_DEREF_RBP ? regs->rbp : regs->rsp) +
		      (uint64_t)cfi_rule_deref_offset(rule);
		if (!cfi_stack_read(stack, cfa, &cfa)) {
			*missing = cfa;
			return CFI_STEP_NO_MEM;
		}
		cfa += (uint64_t)cfi_rule_deref_add(rule);
		break;
	case CFI_END:
		return CFI_STEP_END;
	case CFI_SIGNAL:
		return cfi_step_signal(stack, regs, missing);
	case CFI_UNSUPPORTED:
		return CFI_STEP_UNSUPPORTED;
	case CFI_NONE:
	default:
		return CFI_STEP_NO_CFI;
	}
	if (cfa <= regs->rsp)
		return CFI_STEP_BACKWARDS;

	uint64_t ra, rbp = regs->rbp;
	if (!cfi_stack_read(stack, cfa - 8, &ra)) {
		*missing = cfa - 8;
		return CFI_STEP_NO_MEM;
	}
	unsigned where = cfi_rule_rbp(rule);
	if (where != CFI_RBP_SAME) {
		uint64_t slot = where == CFI_RBP_AT_RBP ? regs->rbp : cfa - 8 * (uint64_t)where;
		if (!cfi_stack_read(stack, slot, &rbp)) {
			*missing = slot;
			return CFI_STEP_NO_MEM;
		}
	}
	*regs = (struct cfi_regs){.rip = ra, .rsp = cfa, .rbp = rbp};
	return CFI_STEP_OK;
}

#endif
