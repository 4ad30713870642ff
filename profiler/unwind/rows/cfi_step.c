#include "cfi_step.h"

#include "cfi_internal.h"

enum cfi_step cfi_step_signal(const struct cfi_stack *stack, struct cfi_regs *regs,
			      uint64_t *missing)
{
	struct cfi_regs interrupted;
	if (!cfi_stack_read(stack, regs->rsp + CFI_UCONTEXT_RBP, &interrupted.rbp) ||
	    !cfi_stack_read(stack, regs->rsp + CFI_UCONTEXT_RSP, &interrupted.rsp) ||
	    !cfi_stack_read(stack, regs->rsp + CFI_UCONTEXT_RIP, &interrupted.rip)) {
		*missing = regs->rsp + CFI_UCONTEXT_RIP;
		return CFI_STEP_NO_MEM;
	}
	*regs = interrupted;
	return CFI_STEP_SIGNAL;
}
