/* cfi_state.h - where a frame's caller is, at one place of a CFI program. */
#ifndef CPROF_UNWIND_ROWS_CFI_STATE_H
#define CPROF_UNWIND_ROWS_CFI_STATE_H

#include "cfi_internal.h"

/* DWARF register numbers of x86-64 (System V psABI, figure 3.36). */
enum { CFI_REGNO_RBP = 6, CFI_REGNO_RSP = 7, CFI_REGNO_RA = 16 };

enum cfi_reg_kind {
	CFI_REG_SAME,   /* or never mentioned */
	CFI_REG_OFFSET, /* at CFA + value */
	CFI_REG_UNDEFINED,
	CFI_REG_AT_RBP, /* DW_CFA_expression: DW_OP_breg6 0 */
	CFI_REG_OTHER,
};

struct cfi_reg_rule {
	enum cfi_reg_kind kind;
	int64_t value;
};

struct cfi_cfa_rule {
	enum cfi_kind kind; /* CFI_RSP stands for "register + offset" of any register */
	uint64_t reg;
	int64_t offset, add;
	int64_t reg_offset; /* of the last rule "register + offset" */
	bool had_reg;       /* there was one */
};

struct cfi_state {
	struct cfi_cfa_rule cfa;
	struct cfi_reg_rule rbp, ra, rsp;
};

/** The state in 32 bits; CFI_UNSUPPORTED when it does not fit. */
cfi_rule cfi_state_rule(const struct cfi_state *state);

/** The rule of a DW_CFA_def_cfa_expression; CFI_UNSUPPORTED: not one that rows can say. */
struct cfi_cfa_rule cfi_state_cfa_expression(struct cfi_cursor expression);

/** The rule of a DW_CFA_expression. */
struct cfi_reg_rule cfi_state_reg_expression(struct cfi_cursor expression);

#endif
