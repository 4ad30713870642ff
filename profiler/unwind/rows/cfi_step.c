#include "cfi_step.h"

/*
 * Offsets from rsp at the first instruction of the restorer, where rsp points at the ucontext: the
 * kernel's rt_sigframe after its return address was popped (arch/x86/include/asm/sigframe.h);
 * uc_flags, uc_link and uc_stack are 40 bytes, gregs follow in the order of <sys/ucontext.h>.
 */
enum { UCONTEXT_RBP = 120, UCONTEXT_RSP = 160, UCONTEXT_RIP = 168 };

enum cfi_step cfi_step_signal(const struct cfi_stack *stack, struct cfi_regs *regs,
			      uint64_t *missing)
{
	struct cfi_regs interrupted;
	if (!cfi_stack_read(stack, regs->rsp + UCONTEXT_RBP, &interrupted.rbp) ||
	    !cfi_stack_read(stack, regs->rsp + UCONTEXT_RSP, &interrupted.rsp) ||
	    !cfi_stack_read(stack, regs->rsp + UCONTEXT_RIP, &interrupted.rip)) {
		*missing = regs->rsp + UCONTEXT_RIP;
		return CFI_STEP_NO_MEM;
	}
	*regs = interrupted;
	return CFI_STEP_SIGNAL;
}
