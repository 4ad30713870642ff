/*
 * cfi_state.c - what rows can say, of what call frame information can.
 */
#include "cfi_state.h"

static cfi_rule pack(enum cfi_kind kind, unsigned rbp, int64_t field)
{
	return (uint32_t)kind | rbp << 4 | (uint32_t)field << 12;
}

static cfi_rule pack_cfa(const struct cfi_state *state, unsigned rbp)
{
	const struct cfi_cfa_rule *cfa = &state->cfa;
	const int64_t limit = 1 << 19;
	switch (cfa->kind) {
	case CFI_RSP:
		if (cfa->reg != CFI_REGNO_RSP && cfa->reg != CFI_REGNO_RBP)
			return CFI_UNSUPPORTED;
		if (cfa->offset % 8 || cfa->offset / 8 < -limit || cfa->offset / 8 >= limit)
			return CFI_UNSUPPORTED;
		return pack(cfa->reg == CFI_REGNO_RSP ? CFI_RSP : CFI_RBP, rbp, cfa->offset / 8);
	case CFI_PLT:
		return pack(CFI_PLT, rbp, cfa->offset);
	case CFI_DEREF_RBP:
	case CFI_DEREF_RSP:
		if (cfa->offset % 8 || cfa->offset / 8 < -2048 || cfa->offset / 8 > 2047 ||
		    cfa->add % 8 || cfa->add < 0 || cfa->add / 8 > 255)
			return CFI_UNSUPPORTED;
		return pack(cfa->kind, rbp,
			    (int64_t)((uint64_t)(cfa->offset / 8) << 8 | (uint64_t)(cfa->add / 8)));
	default:
		return CFI_UNSUPPORTED;
	}
}

cfi_rule cfi_state_rule(const struct cfi_state *state)
{
	if (state->ra.kind == CFI_REG_UNDEFINED)
		return CFI_END;
	if (state->ra.kind != CFI_REG_OFFSET || state->ra.value != -8)
		return CFI_UNSUPPORTED;
	/* without a rule of its own the caller's rsp is the CFA (psABI 3.7) */
	if (state->rsp.kind != CFI_REG_SAME)
		return CFI_UNSUPPORTED;
	switch (state->rbp.kind) {
	case CFI_REG_SAME:
	case CFI_REG_UNDEFINED: /* the caller's rbp is lost: nobody may rely on it */
		return pack_cfa(state, CFI_RBP_SAME);
	case CFI_REG_OFFSET:
		if (state->rbp.value >= 0 || state->rbp.value % 8 ||
		    -state->rbp.value / 8 > CFI_RBP_MAX)
			return CFI_UNSUPPORTED;
		return pack_cfa(state, (unsigned)(-state->rbp.value / 8));
	case CFI_REG_AT_RBP:
		return pack_cfa(state, CFI_RBP_AT_RBP);
	case CFI_REG_OTHER:
	default:
		return CFI_UNSUPPORTED;
	}
}

/*
 * DW_CFA_def_cfa_expression. Three shapes occur in practice: the PLT's (binutils' elf_x86_64
 * templates; the limit is 11, or 9 and 10 in IBT and BND layouts), gcc's realigned stacks
 * (DW_OP_breg6 n, DW_OP_deref), and assembly that saved rsp (DW_OP_breg7 n, DW_OP_deref,
 * DW_OP_plus_uconst m).
 */
struct cfi_cfa_rule cfi_state_cfa_expression(struct cfi_cursor e)
{
	enum { BREG6 = 0x76, BREG7 = 0x77, DEREF = 0x06, PLUS_UCONST = 0x23, LIT0 = 0x30 };
	struct cfi_cfa_rule other = {.kind = CFI_UNSUPPORTED};
	/* breg7 8; breg16 0; lit15; and; litN; ge; lit3; shl; plus */
	static const uint8_t plt_head[] = {0x77, 8, 0x80, 0, 0x3f, 0x1a};
	static const uint8_t plt_tail[] = {0x2a, 0x33, 0x24, 0x22};
	if (e.end - e.at == sizeof(plt_head) + 1 + sizeof(plt_tail) && e.at[6] >= LIT0 &&
	    e.at[6] <= LIT0 + 15) {
		bool same = true;
		for (unsigned i = 0; i < sizeof(plt_head); i++)
			same &= e.at[i] == plt_head[i];
		for (unsigned i = 0; i < sizeof(plt_tail); i++)
			same &= e.at[7 + i] == plt_tail[i];
		if (same)
			return (struct cfi_cfa_rule){.kind = CFI_PLT, .offset = e.at[6] - LIT0};
	}
	uint8_t base = (uint8_t)cfi_read(&e, 1);
	if (base != BREG6 && base != BREG7)
		return other;
	struct cfi_cfa_rule rule = {.kind = base == BREG6 ? CFI_DEREF_RBP : CFI_DEREF_RSP};
	rule.offset = cfi_read_sleb(&e);
	if (cfi_read(&e, 1) != DEREF)
		return other;
	if (e.at < e.end) {
		if (cfi_read(&e, 1) != PLUS_UCONST)
			return other;
		rule.add = (int64_t)cfi_read_uleb(&e);
	}
	return e.at == e.end && !e.bad ? rule : other;
}

struct cfi_reg_rule cfi_state_reg_expression(struct cfi_cursor e)
{
	/* DW_OP_breg6 0: where gcc keeps rbp in a function that realigns its stack */
	if (e.end - e.at == 2 && e.at[0] == 0x76 && e.at[1] == 0)
		return (struct cfi_reg_rule){.kind = CFI_REG_AT_RBP};
	return (struct cfi_reg_rule){.kind = CFI_REG_OTHER};
}
