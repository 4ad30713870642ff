/*
 * cfi_run.c - run one CFI program (DWARF 5, section 6.4.2) and keep what it says as rows.
 */
#include "cfi_state.h"

/* What is at an offset beyond this is in no row: far enough from where negating it overflows. */
static const int64_t offset_max = INT64_C(1) << 32;

enum { MAX_REMEMBERED = 16 };

struct machine {
	const struct cfi_section *section;
	const struct cfi_cie *cie;
	struct cfi_state now, initial;
	struct cfi_state remembered[MAX_REMEMBERED];
	unsigned n_remembered;
	bool bad;
};

static cfi_rule rule_now(const struct machine *m)
{
	const struct cfi_cfa_rule *cfa = &m->now.cfa;
	if (!m->cie->signal)
		return cfi_state_rule(&m->now);
	/* the frame that the kernel makes; others that call themselves so may be anything */
	return cfa->kind == CFI_DEREF_RSP && cfa->offset == CFI_UCONTEXT_RSP && cfa->add == 0
		       ? CFI_SIGNAL
		       : CFI_UNSUPPORTED;
}

/* Rules of registers that nobody asks for are read past. */
static struct cfi_reg_rule *reg_of(struct cfi_state *state, uint64_t reg)
{
	switch (reg) {
	case CFI_REGNO_RBP:
		return &state->rbp;
	case CFI_REGNO_RSP:
		return &state->rsp;
	case CFI_REGNO_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_reg(struct machine *m, uint64_t reg, enum cfi_reg_kind kind, int64_t value)
{
	struct cfi_reg_rule *rule = reg_of(&m->now, reg);
	if (kind == CFI_REG_OFFSET && (value < -offset_max || value > offset_max))
		kind = CFI_REG_OTHER;
	if (rule)
		*rule = (struct cfi_reg_rule){kind, value};
}

static void restore_reg(struct machine *m, uint64_t reg)
{
	struct cfi_reg_rule *rule = reg_of(&m->now, reg);
	if (rule)
		*rule = *reg_of(&m->initial, reg);
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
	m->now.cfa = (struct cfi_cfa_rule){.kind = CFI_RSP,
					   .reg = reg,
					   .offset = offset,
					   .reg_offset = offset,
					   .had_reg = true};
}

static void set_cfa_expression(struct machine *m, struct cfi_cursor e)
{
	const struct cfi_cfa_rule before = m->now.cfa;
	m->now.cfa = cfi_state_cfa_expression(e);
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

/* Return: false when @op does not define the CFA. */
static bool define_cfa(struct machine *m, uint8_t op, struct cfi_cursor *c)
{
	uint64_t reg;
	switch (op) {
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
	case 0x12: /* DW_CFA_def_cfa_sf */
		reg = cfi_read_uleb(c);
		set_cfa(m, reg, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	case 0x13: /* DW_CFA_def_cfa_offset_sf */
		set_cfa_offset(m, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	default:
		return false;
	}
	return true;
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
		set_reg(m, reg, CFI_REG_OFFSET, scaled(m, cfi_read_uleb(c)));
		break;
	case 0x06: /* DW_CFA_restore_extended */
		restore_reg(m, cfi_read_uleb(c));
		break;
	case 0x07: /* DW_CFA_undefined */
		set_reg(m, cfi_read_uleb(c), CFI_REG_UNDEFINED, 0);
		break;
	case 0x08: /* DW_CFA_same_value */
		set_reg(m, cfi_read_uleb(c), CFI_REG_SAME, 0);
		break;
	case 0x09: /* DW_CFA_register */
		set_reg(m, cfi_read_uleb(c), CFI_REG_OTHER, 0);
		cfi_read_uleb(c);
		break;
	case 0x0a: /* DW_CFA_remember_state */
		remember(m);
		break;
	case 0x0b: /* DW_CFA_restore_state */
		restore_state(m);
		break;
	case 0x10: { /* DW_CFA_expression */
		reg = cfi_read_uleb(c);
		struct cfi_reg_rule rule = cfi_state_reg_expression(cfi_take(c, cfi_read_uleb(c)));
		set_reg(m, reg, rule.kind, 0);
		break;
	}
	case 0x11: /* DW_CFA_offset_extended_sf */
		reg = cfi_read_uleb(c);
		set_reg(m, reg, CFI_REG_OFFSET, scaled(m, (uint64_t)cfi_read_sleb(c)));
		break;
	case 0x14:   /* DW_CFA_val_offset */
	case 0x15: { /* DW_CFA_val_offset_sf: the LEBs' length and whether it is 0 matter */
		reg = cfi_read_uleb(c);
		bool is_cfa = cfi_read_uleb(c) == 0;
		set_reg(m, reg, reg == CFI_REGNO_RSP && is_cfa ? CFI_REG_SAME : CFI_REG_OTHER, 0);
		break;
	}
	case 0x16: /* DW_CFA_val_expression */
		set_reg(m, cfi_read_uleb(c), CFI_REG_OTHER, 0);
		cfi_take(c, cfi_read_uleb(c));
		break;
	case 0x2e: /* DW_CFA_GNU_args_size: of no matter at a call */
		cfi_read_uleb(c);
		break;
	case 0x2f: /* DW_CFA_GNU_negative_offset_extended */
		reg = cfi_read_uleb(c);
		set_reg(m, reg, CFI_REG_OFFSET, scaled(m, -cfi_read_uleb(c)));
		break;
	default:
		m->bad |= !define_cfa(m, op, c);
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
		set_reg(m, op & 63, CFI_REG_OFFSET, scaled(m, cfi_read_uleb(c)));
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
	m->now = (struct cfi_state){.cfa = {.kind = CFI_UNSUPPORTED}};
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
			enum cfi_status status = cfi_emit(build, span, pc, rule_now(&m));
			if (status != CFI_OK)
				return status;
		}
		pc = next;
	}
	*bad = m.bad;
	/* what is left of a broken program's range has no rule we could trust */
	cfi_rule last = m.bad ? CFI_UNSUPPORTED : rule_now(&m);
	return pc < span->end ? cfi_emit(build, span, pc, last) : CFI_OK;
}
