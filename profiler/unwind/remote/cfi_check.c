#include "cfi_check.h"

enum {
	REGISTERS = 17,      /* the general ones and the return address */
	REMEMBERED_MAX = 32, /* compilers nest two or three */
};

/* Call frame instructions (DWARF 5, 7.24); those in the high two bits carry an operand. */
enum {
	CFA_ADVANCE_LOC = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_HIGH_MASK = 0xc0,
	CFA_NOP = 0x00,
	CFA_ADVANCE_LOC1 = 0x02,
	CFA_ADVANCE_LOC2 = 0x03,
	CFA_ADVANCE_LOC4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_GNU_ARGS_SIZE = 0x2e,
};

/* Expression operations (DWARF 5, 7.7.1) */
enum {
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08,
	OP_CONST1S = 0x09,
	OP_CONST2U = 0x0a,
	OP_CONST2S = 0x0b,
	OP_CONST4U = 0x0c,
	OP_CONST4S = 0x0d,
	OP_CONST8U = 0x0e,
	OP_CONST8S = 0x0f,
	OP_CONSTU = 0x10,
	OP_CONSTS = 0x11,
	OP_DUP = 0x12,
	OP_OVER = 0x14,
	OP_PICK = 0x15,
	OP_ROT = 0x17,
	OP_ABS = 0x19,
	OP_AND = 0x1a,
	OP_MINUS = 0x1c,
	OP_MUL = 0x1e,
	OP_PLUS = 0x22,
	OP_PLUS_UCONST = 0x23,
	OP_SHL = 0x24,
	OP_XOR = 0x27,
	OP_EQ = 0x29,
	OP_NE = 0x2e,
	OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_DEREF_SIZE = 0x94,
	OP_NOP = 0x96,
};

static bool is_between(unsigned value, unsigned low, unsigned high)
{
	return value >= low && value <= high;
}

/*
 * One operation and its operands. Left out on purpose: jumps (they can loop), DW_OP_div (traps on
 * INT64_MIN / -1), registers as locations.
 */
static bool check_operation(struct cfi_reader *reader)
{
	const unsigned op = (unsigned)cfi_read_fixed(reader, 1);
	if (is_between(op, OP_LIT0, OP_LIT31) || is_between(op, OP_DUP, OP_OVER) ||
	    is_between(op, OP_PICK + 1, OP_ROT) || is_between(op, OP_ABS, OP_AND) ||
	    op == OP_MINUS || is_between(op, OP_MUL, OP_PLUS) || is_between(op, OP_SHL, OP_XOR) ||
	    is_between(op, OP_EQ, OP_NE) || op == OP_DEREF || op == OP_NOP)
		return true;
	if (is_between(op, OP_BREG0, OP_BREG0 + REGISTERS - 1)) {
		cfi_read_sleb(reader);
		return true;
	}
	switch (op) {
	case OP_CONST1U:
	case OP_CONST1S:
	case OP_PICK:
	case OP_DEREF_SIZE:
		cfi_read_bytes(reader, 1);
		return true;
	case OP_CONST2U:
	case OP_CONST2S:
		cfi_read_bytes(reader, 2);
		return true;
	case OP_CONST4U:
	case OP_CONST4S:
		cfi_read_bytes(reader, 4);
		return true;
	case OP_CONST8U:
	case OP_CONST8S:
		cfi_read_bytes(reader, 8);
		return true;
	case OP_CONSTU:
	case OP_PLUS_UCONST:
		cfi_read_uleb(reader);
		return true;
	case OP_CONSTS:
		cfi_read_sleb(reader);
		return true;
	default:
		return false;
	}
}

static bool check_expression(struct cfi_reader *reader)
{
	const uint64_t n = cfi_read_uleb(reader);
	const uint64_t svma = reader->svma;
	const uint8_t *bytes = cfi_read_bytes(reader, n);
	if (!bytes || n == 0)
		return false;
	struct cfi_reader expression = cfi_reader_make(bytes, n, svma);
	while (cfi_reader_left(&expression) > 0)
		if (!check_operation(&expression) || expression.failed)
			return false;
	return true;
}

static bool check_register(struct cfi_reader *reader)
{
	return cfi_read_uleb(reader) < REGISTERS;
}

static bool check_extended(struct cfi_reader *reader, unsigned opcode, unsigned *remembered)
{
	switch (opcode) {
	case CFA_NOP:
		return true;
	case CFA_ADVANCE_LOC1:
		return cfi_read_bytes(reader, 1);
	case CFA_ADVANCE_LOC2:
		return cfi_read_bytes(reader, 2);
	case CFA_ADVANCE_LOC4:
		return cfi_read_bytes(reader, 4);
	case CFA_RESTORE_EXTENDED:
	case CFA_UNDEFINED:
	case CFA_SAME_VALUE:
	case CFA_DEF_CFA_REGISTER:
		return check_register(reader);
	case CFA_REGISTER:
		if (!check_register(reader))
			return false;
		return check_register(reader);
	case CFA_OFFSET_EXTENDED:
	case CFA_OFFSET_EXTENDED_SF:
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
		if (!check_register(reader))
			return false;
		cfi_read_uleb(reader);
		return true;
	case CFA_DEF_CFA_OFFSET:
	case CFA_DEF_CFA_OFFSET_SF:
	case CFA_GNU_ARGS_SIZE:
		cfi_read_uleb(reader);
		return true;
	case CFA_REMEMBER_STATE:
		return ++*remembered <= REMEMBERED_MAX;
	case CFA_RESTORE_STATE:
		return (*remembered)-- > 0;
	case CFA_DEF_CFA_EXPRESSION:
		return check_expression(reader);
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		return check_register(reader) && check_expression(reader);
	default:
		return false;
	}
}

bool cfi_check(struct cfi_reader instructions)
{
	unsigned remembered = 0;
	while (cfi_reader_left(&instructions) > 0) {
		const unsigned byte = (unsigned)cfi_read_fixed(&instructions, 1);
		const unsigned operand = byte & ~(unsigned)CFA_HIGH_MASK;
		bool ok = true;
		switch (byte & CFA_HIGH_MASK) {
		case CFA_ADVANCE_LOC:
			break;
		case CFA_OFFSET:
			ok = operand < REGISTERS;
			cfi_read_uleb(&instructions);
			break;
		case CFA_RESTORE:
			ok = operand < REGISTERS;
			break;
		default:
			ok = check_extended(&instructions, byte, &remembered);
		}
		if (!ok || instructions.failed)
			return false;
	}
	return true;
}
