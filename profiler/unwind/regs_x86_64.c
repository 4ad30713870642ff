#include "regs.h"

#include <asm/perf_regs.h>
#include <assert.h>
#include <string.h>

/* Register numbers of the x86-64 psABI (figure 3.36); 16 is the return address column. */
enum { DWARF_RAX = 0, DWARF_RBP = 6, DWARF_RSP = 7, DWARF_RIP = 16 };

/* The perf register behind each DWARF number. */
static const uint8_t perf_of_dwarf[UNWIND_REGS_MAX] = {
	PERF_REG_X86_AX,  PERF_REG_X86_DX,  PERF_REG_X86_CX,  PERF_REG_X86_BX,  PERF_REG_X86_SI,
	PERF_REG_X86_DI,  PERF_REG_X86_BP,  PERF_REG_X86_SP,  PERF_REG_X86_R8,  PERF_REG_X86_R9,
	PERF_REG_X86_R10, PERF_REG_X86_R11, PERF_REG_X86_R12, PERF_REG_X86_R13, PERF_REG_X86_R14,
	PERF_REG_X86_R15, PERF_REG_X86_IP,
};

uint64_t unwind_regs_perf_mask(void)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < UNWIND_REGS_MAX; i++)
		mask |= UINT64_C(1) << perf_of_dwarf[i];
	return mask;
}

void unwind_regs_from_perf(struct unwind_regs *regs, const uint64_t *values, unsigned n)
{
	const uint64_t mask = unwind_regs_perf_mask();
	assert(n == UNWIND_REGS_MAX);
	(void)n;
	for (unsigned i = 0; i < UNWIND_REGS_MAX; i++) {
		/* perf packs the values: a register's place is the number of asked ones below it */
		const uint64_t below = mask & ((UINT64_C(1) << perf_of_dwarf[i]) - 1);
		regs->r[i] = values[__builtin_popcountll(below)];
	}
}

/*
 * A ucontext and a siginfo (struct rt_sigframe, arch/x86/include/asm/sigframe.h), and where the
 * ucontext points at, close above, what FXSAVE writes.
 */
enum {
	UCONTEXT_GREGS = 40,
	UCONTEXT_FPSTATE = 224,
	UCONTEXT_BYTES = 304,
	SIGINFO_BYTES = 128,
	FXSAVE_BYTES = 512,
	FPSTATE_OFF_MAX = 1024,
};

size_t unwind_regs_from_signal(struct unwind_regs *regs, uint64_t avma, const uint8_t *bytes,
			       size_t n)
{
	/* the DWARF numbers of gregs, as <sys/ucontext.h> orders them */
	static const uint8_t dwarf_of_greg[UNWIND_REGS_MAX] = {
		8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, DWARF_RSP, 16};
	uint64_t fpstate;
	if (n < UCONTEXT_BYTES + SIGINFO_BYTES)
		return 0;
	for (size_t i = 0; i < UNWIND_REGS_MAX; i++)
		memcpy(&regs->r[dwarf_of_greg[i]], bytes + UCONTEXT_GREGS + 8 * i, 8);
	memcpy(&fpstate, bytes + UCONTEXT_FPSTATE, sizeof(fpstate));
	const uint64_t off = fpstate - avma;
	if (off < FPSTATE_OFF_MAX && off + FXSAVE_BYTES <= n &&
	    off >= UCONTEXT_BYTES + SIGINFO_BYTES)
		return off + FXSAVE_BYTES;
	return UCONTEXT_BYTES + SIGINFO_BYTES;
}

uint64_t unwind_regs_pc(const struct unwind_regs *regs)
{
	return regs->r[DWARF_RIP];
}

uint64_t unwind_regs_sp(const struct unwind_regs *regs)
{
	return regs->r[DWARF_RSP];
}

uint64_t unwind_regs_fp(const struct unwind_regs *regs)
{
	return regs->r[DWARF_RBP];
}

uint64_t unwind_regs_result(const struct unwind_regs *regs)
{
	return regs->r[DWARF_RAX];
}

uint32_t unwind_regs_fp_bit(void)
{
	return UINT32_C(1) << DWARF_RBP;
}

uint32_t unwind_regs_all_bits(void)
{
	return (UINT32_C(1) << UNWIND_REGS_MAX) - 1;
}

uint32_t unwind_regs_walk_bits(void)
{
	return UINT32_C(1) << DWARF_RBP | UINT32_C(1) << DWARF_RSP | UINT32_C(1) << DWARF_RIP;
}

void unwind_regs_set_pc(struct unwind_regs *regs, uint64_t pc)
{
	regs->r[DWARF_RIP] = pc;
}

void unwind_regs_set_sp(struct unwind_regs *regs, uint64_t sp)
{
	regs->r[DWARF_RSP] = sp;
}

void unwind_regs_set_fp(struct unwind_regs *regs, uint64_t fp)
{
	regs->r[DWARF_RBP] = fp;
}
