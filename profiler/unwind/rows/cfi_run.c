/*
 * cfi_run.c - run one CFI program (DWARF 5, section 6.4.2) and keep what it says as rows.
 */
#include "cfi_internal.h"

/* DWARF register numbers of x86-64 (System V psABI, figure 3.36). */
enum { REG_RBP = 6, REG_RSP = 7, REG_RA = 16 };

/* What is at an offset beyond this is in no row: far enough from where negating it overflows. */
static const int64_t offset_max = INT64_C(1) << 32;

enum { MAX_REMEMBERED = 16 };

enum rule_kind {
	RULE_SAME,   /* or never mentioned */
	RULE_OFFSET, /* at CFA + value */
	RULE_UNDEFINED,
	RULE_AT_RBP, /* DW_CFA_expression: DW_OP_breg6 0 */
	RULE_OTHER,
};

struct reg_rule {
	enum rule_kind kind;
	int64_t value;
};

struct cfa_rule {
	enum cfi_kind kind; /* CFI_RSP stands for "register + offset" in general: see @reg */
	uint64_t reg;
	int64_t offset, add;
	int64_t reg_offset; /* of the last rule "register + offset" */
	bool had_reg;       /* there was one */
};

struct state {
	struct cfa_rule cfa;
	struct reg_rule rbp, ra, rsp;
};

struct machine {
	const struct cfi_section *section;
	const struct cfi_cie *cie;
	struct state now, initial;
	struct state remembered[MAX_REMEMBERED];
	unsigned n_remembered;
	bool bad;
};

static cfi_rule pack(enum cfi_kind kind, unsigned rbp, int64_t field)
{
	return (uint32_t)kind | rbp << 4 | (uint32_t)field << 12;
}

static cfi_rule pack_cfa(const struct state *state, unsigned rbp)
{
	const struct cfa_rule *cfa = &state->cfa;
	const int64_t limit = 1 << 19;
	switch (cfa->kind) {
	case CFI_RSP:
		if (cfa->reg != REG_RSP && cfa->reg != REG_RBP)
			return CFI_UNSUPPORTED;
		if (cfa->offset % 8 || cfa->offset / 8 < -limit || cfa->offset / 8 >= limit)
			return CFI_UNSUPPORTED;
		return pack(cfa->reg == REG_RSP ? CFI_RSP : CFI_RBP, rbp, cfa->offset / 8);
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

static cfi_rule state_rule(const struct machine *m)
{
	const struct state *state = &m->now;
	if (m->cie->signal)
		return CFI_SIGNAL;
	if (state->ra.kind == RULE_UNDEFINED)
		return CFI_END;
	if (state->ra.kind != RULE_OFFSET || state->ra.value != -8)
		return CFI_UNSUPPORTED;
	/* without a rule of its own the caller's rsp is the CFA (psABI 3.7) */
	if (state->rsp.kind != RULE_SAME)
		return CFI_UNSUPPORTED;
	switch (state->rbp.kind) {
	case RULE_SAME:
	case RULE_UNDEFINED: /* the caller's rbp is lost: nobody may rely on it */
		return pack_cfa(state, CFI_RBP_SAME);
	case RULE_OFFSET:
		if (state->rbp.value >= 0 || state->rbp.value % 8 ||
		    -state->rbp.value / 8 > CFI_RBP_MAX)
			return CFI_UNSUPPORTED;
		return pack_cfa(state, (unsigned)(-state->rbp.value / 8));
	case RULE_AT_RBP:
		return pack_cfa(state, CFI_RBP_AT_RBP);
	case RULE_OTHER:
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
static struct cfa_rule cfa_expression(struct cfi_cursor e)
{
	enum { BREG6 = 0x76, BREG7 = 0x77, DEREF = 0x06, PLUS_UCONST = 0x23, LIT0 = 0x30 };
	struct cfa_rule other = {.kind = CFI_UNSUPPORTED};
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
			return (struct cfa_rule){.kind = CFI_PLT, .offset = e.at[6] - LIT0};
	}
	uint8_t base = (uint8_t)cfi_read(&e, 1);
	if (base != BREG6 && base != BREG7)
		return other;
	struct cfa_rule rule = {.kind = base == BREG6 ? CFI_DEREF_RBP : CFI_DEREF_RSP};
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

/* Rules of registers that nobody asks for are read past. */
static struct reg_rule *reg_of(struct state *state, uint64_t reg)
{
	switch (reg) {
	case REG_RBP:
		return &state->rbp;
	case REG_RSP:
		return &state->rsp;
	case REG_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_reg(struct machine *m, uint64_t reg, enum rule_kind kind, int64_t value)
{
	struct reg_rule *rule = reg_of(&m->now, reg);
	if (kind == RULE_OFFSET && (value < -offset_max || value > offset_max))
		kind = RULE_OTHER;
	if (rule)
		*rule = (struct reg_rule){kind, value};
}

static void restore_reg(struct machine *m, uint64_t reg)
{
	struct reg_rule *rule = reg_of(&m->now, reg);
	if (rule)
		*rule = *reg_of(&m->initial, reg);
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
	m->now.cfa = (struct cfa_rule){.kind = CFI_RSP,
				       .reg = reg,
				       .offset = offset,
				       .reg_offset = offset,
				       .had_reg = true};
}

static void set_cfa_expression(struct machine *m, struct cfi_cursor e)
{
	const struct cfa_rule before = m->now.cfa;
	m->now.cfa = cfa_expression(e);
	m->now.cfa.reg_offset = before.reg_offset;
	m->now.cfa.had_reg = before.had_reg;
}

/*
 * After an expression DWARF allows no DW_CFA_def_cfa_register; assemblers write it all the same
 * (libgcrypt's AVX code), and libgcc and readelf take the offset from before the expression.
 */
static void set_cfa_register(struct machine *m, uint64_t reg)
{
	if (m->now.cfa.had_reg)
		set_cfa(m, reg, m->now.cfa.reg_offset);
	else
		m->bad = true;
}

static void set_cfa_offset(struct machine *m, int64_t offset)
{
	if (m->now.cfa.kind == CFI_RSP)
		set_cfa(m, m->now.cfa.reg, offset);
	else
		m->bad = true;
}

static int64_t scaled(const struct machine *m, uint64_t factored)
{
	return (int64_t)(factored * (uint64_t)m->cie->data_align);
}

static struct reg_rule reg_expression(struct cfi_cursor e)
{
	/* DW_OP_breg6 0: where gcc keeps rbp in a function that realigns its stack */
	if (e.end - e.at == 2 && e.at[0] == 0x76 && e.at[1] == 0)
		return (struct reg_rule){.kind = RULE_AT_RBP};
	return (struct reg_rule){.kind = RULE_OTHER};
}

static void remember(struct machine *m)
{
	if (m->n_remembered == MAX_REMEMBERED)
		m->bad = true;
	else
		m->remembered[m->n_remembered++] = m->now;
}

static void restore_state(struct machine *m)
{
	if (!m->n_remembered)
		m->bad = true;
	else
		m->now = m->remembered[--m->n_remembered];
}

/* The opcodes without an operand in the opcode byte, other than advances. */
static void run_extended(struct machine *m, uint8_t op, struct cfi_cursor *c)
{
	uint64_t reg;
	switch (op) {
	case 0x00: /* DW_CFA_nop */
		break;
	case 0x05: /* DW_CFA_offset_extended */
		reg = cfi_read_uleb(c);
		set_reg(m, reg, RULE_OFFSET, scaled(m, cfi_read_uleb(c)));
		break;
	case 0x06: /* DW_CFA_restore_extended */
		restore_reg(m, cfi_read_uleb(c));
		break;
	case 0x07: /* DW_CFA_undefined */
		set_reg(m, cfi_read_uleb(c), RULE_UNDEFINED, 0);
		break;
	case 0x08: /* DW_CFA_same_value */
		set_reg(m, cfi_read_uleb(c), RULE_SAME, 0);
		break;
	case 0x09: /* DW_CFA_register */
		set_reg(m, cfi_read_uleb(c), RULE_OTHER, 0);
		cfi_read_uleb(c);
		break;
	case 0x0a: /* DW_CFA_remember_state */
		remember(m);
		break;
	case 0x0b: /* DW_CFA_restore_state */
		restore_state(m);
		break;
	case 0x0c: /* DW_CFA_def_cfa */
		reg = cfi_read_uleb(c);
		set_cfa(m, reg, (int64_t)cfi_read_uleb(c));
		break;
	case 0x0d: /* DW_CFA_def_cfa_register */
		set_cfa_register(m, cfi_read_uleb(c));
		break;
	case 0x0e: /* DW_CFA_def_cfa_offset */
		set_cfa_offset(m, (int64_t)cfi_read_uleb(c));
		break;
	case 0x0f: /* DW_CFA_def_cfa_expression */
		set_cfa_expression(m, cfi_take(c, cfi_read_uleb(c)));
		break;
	case 0x10: { /* DW_CFA_expression */
		reg = cfi_read_uleb(c);
		struct reg_rule rule = reg_expression(cfi_take(c, cfi_read_uleb(c)));
		set_reg(m, reg, rule.kind, 0);
		break;
	}
	case 0x11: /* DW_CFA_offset_extended_sf */
		reg = cfi_read_uleb(c);
		set_reg(m, reg, RULE_OFFSET, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	case 0x12: /* DW_CFA_def_cfa_sf */
		reg = cfi_read_uleb(c);
		set_cfa(m, reg, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	case 0x13: /* DW_CFA_def_cfa_offset_sf */
		set_cfa_offset(m, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	case 0x14:   /* DW_CFA_val_offset */
	case 0x15: { /* DW_CFA_val_offset_sf: the LEBs' length and whether it is 0 matter */
		reg = cfi_read_uleb(c);
		bool is_cfa = cfi_read_uleb(c) == 0;
		set_reg(m, reg, reg == REG_RSP && is_cfa ? RULE_SAME : RULE_OTHER, 0);
		break;
	}
	case 0x16: /* DW_CFA_val_expression */
		set_reg(m, cfi_read_uleb(c), RULE_OTHER, 0);
		cfi_take(c, cfi_read_uleb(c));
		break;
	case 0x2e: /* DW_CFA_GNU_args_size: of no matter at a call */
		cfi_read_uleb(c);
		break;
	case 0x2f: /* DW_CFA_GNU_negative_offset_extended */
		reg = cfi_read_uleb(c);
		set_reg(m, reg, RULE_OFFSET, scaled(m, -cfi_read_uleb(c)));
		break;
	default:
		m->bad = true;
	}
}

/* True when @op advances the location: @delta is set, or @target for DW_CFA_set_loc. */
static bool read_advance(const struct machine *m, uint8_t op, struct cfi_cursor *c, uint64_t *pc)
{
	if (op >> 6 == 1) { /* DW_CFA_advance_loc */
		*pc += (op & 63) * m->cie->code_align;
		return true;
	}
	switch (op) {
	case 0x01: /* DW_CFA_set_loc */
		*pc = cfi_read_encoded(c, m->section, m->cie->fde_encoding);
		return true;
	case 0x02: /* DW_CFA_advance_loc1 */
		*pc += cfi_read(c, 1) * m->cie->code_align;
		return true;
	case 0x03: /* DW_CFA_advance_loc2 */
		*pc += cfi_read(c, 2) * m->cie->code_align;
		return true;
	case 0x04: /* DW_CFA_advance_loc4 */
		*pc += cfi_read(c, 4) * m->cie->code_align;
		return true;
	default:
		return false;
	}
}

/* One instruction that changes the state. */
static void run_one(struct machine *m, uint8_t op, struct cfi_cursor *c)
{
	if (op >> 6 == 2) /* DW_CFA_offset */
		set_reg(m, op & 63, RULE_OFFSET, scaled(m, cfi_read_uleb(c)));
	else if (op >> 6 == 3) /* DW_CFA_restore */
		restore_reg(m, op & 63);
	else
		run_extended(m, op, c);
}

/* Run the CIE's program. The remembered states are not cleared: that alone would take as long as
 * all else for the short program of a function. */
static void begin(struct machine *m, const struct cfi_section *section, const struct cfi_cie *cie)
{
	m->section = section;
	m->cie = cie;
	m->n_remembered = 0;
	m->bad = false;
	m->now = (struct state){.cfa = {.kind = CFI_UNSUPPORTED}};
	m->initial = m->now; /* of a "restore" in the CIE itself */
	struct cfi_cursor c = cie->instructions;
	while (c.at < c.end && !m->bad && !c.bad) {
		const uint8_t op = cfi_read_byte(&c);
		uint64_t ignored = 0;
		/* a CIE's program has no locations */
		if (read_advance(m, op, &c, &ignored))
			m->bad = true;
		else
			run_one(m, op, &c);
	}
	m->initial = m->now;
	m->bad |= c.bad;
}

enum cfi_status cfi_run(struct cfi_build *build, const struct cfi_section *section,
			const struct cfi_cie *cie, struct cfi_cursor instructions,
			const struct cfi_span *span, bool *bad)
{
	struct machine m;
	begin(&m, section, cie);
	uint64_t pc = span->start;
	struct cfi_cursor c = instructions;
	while (c.at < c.end && !m.bad) {
		const uint8_t op = cfi_read_byte(&c);
		uint64_t next = pc;
		if (op == 0) /* DW_CFA_nop: the padding */
			continue;
		if (!read_advance(&m, op, &c, &next)) {
			run_one(&m, op, &c);
			m.bad |= c.bad;
			continue;
		}
		if (c.bad || next < pc || next > span->end) {
			m.bad = true;
			break;
		}
		if (next > pc) {
			enum cfi_status status = cfi_emit(build, span, pc, state_rule(&m));
			if (status != CFI_OK)
				return status;
		}
		pc = next;
	}
	*bad = m.bad;
	/* what is left of a broken program's range has no rule we could trust */
	cfi_rule last = m.bad ? CFI_UNSUPPORTED : state_rule(&m);
	return pc < span->end ? cfi_emit(build, span, pc, last) : CFI_OK;
}
