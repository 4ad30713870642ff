#include "prologue.h"

#include <string.h>

/* What is left of the code. */
struct cursor {
	const uint8_t *at;
	size_t n;
};

static bool take(struct cursor *code, const char *bytes, size_t n)
{
	if (code->n < n || memcmp(code->at, bytes, n) != 0)
		return false;
	code->at += n;
	code->n -= n;
	return true;
}

#define TAKE(code, text) take(code, text, sizeof(text) - 1)

/* Bytes of ModRM, SIB and displacement (Intel SDM volume 2, tables 2-2 and 2-3); 0: cut off. */
static size_t operand_bytes(const uint8_t *modrm, size_t n)
{
	size_t bytes = 1;
	if (n < 2)
		return 0;
	const unsigned mod = modrm[0] >> 6, rm = modrm[0] & 7;
	if (mod == 3)
		return bytes;
	if (rm == 4)
		bytes++;
	if (mod == 1)
		bytes += 1;
	else if (mod == 2 || (mod == 0 && rm == 5) || (mod == 0 && rm == 4 && (modrm[1] & 7) == 5))
		bytes += 4;
	return bytes;
}

/* The register that is written is rsp or rbp. */
static bool is_stack_register(uint8_t rex, uint8_t modrm, bool in_reg_field)
{
	if (in_reg_field)
		return !(rex & 4) && (modrm >> 3 & 6) == 4;
	return !(rex & 1) && modrm >> 6 == 3 && (modrm & 6) == 4;
}

/* What follows the opcode. */
enum form {
	FORM_UNKNOWN,
	FORM_NONE,     /* nothing */
	FORM_IMM32,    /* a number of 4 bytes, with REX.W of 8 */
	FORM_READS,    /* an operand; the register operand is written */
	FORM_WRITES,   /* an operand that is written, or only looked at */
	FORM_IMM8_OP,  /* the same, and a number of a byte */
	FORM_IMM32_OP, /* the same, and one of 4 */
	FORM_READS_IMM8,
	FORM_READS_IMM32,
};

/* Of the instructions that compilers put into a prologue (Intel SDM volume 2, appendix A). */
static enum form form_of(uint8_t opcode)
{
	if (opcode >= 0xb8 && opcode <= 0xbf)
		return FORM_IMM32;
	switch (opcode) {
	case 0x98: /* cltq */
	case 0x99: /* cltd */
		return FORM_NONE;
	case 0x03: /* add, or, and, sub, xor: of an operand to a register */
	case 0x0b:
	case 0x23:
	case 0x2b:
	case 0x33:
	case 0x63: /* movslq */
	case 0x8b: /* mov */
	case 0x8d: /* lea */
		return FORM_READS;
	case 0x01: /* the other way round */
	case 0x09:
	case 0x21:
	case 0x29:
	case 0x31:
	case 0x88: /* mov */
	case 0x89:
	case 0x38: /* cmp */
	case 0x39:
	case 0x3b:
	case 0x84: /* test */
	case 0x85:
	case 0xd1: /* a shift by one */
		return FORM_WRITES;
	case 0x6b: /* imul */
		return FORM_READS_IMM8;
	case 0x69:
		return FORM_READS_IMM32;
	case 0x80: /* arithmetic with a number */
	case 0x83:
	case 0xc1: /* a shift */
	case 0xc6: /* mov */
		return FORM_IMM8_OP;
	case 0x81:
	case 0xc7:
		return FORM_IMM32_OP;
	default:
		return FORM_UNKNOWN;
	}
}

/* The same of 0f xx. */
static enum form form_of_two(uint8_t opcode)
{
	/* movzx, movsx, imul, cmovcc; multi-byte nop */
	if (opcode == 0xb6 || opcode == 0xb7 || opcode == 0xbe || opcode == 0xbf ||
	    opcode == 0xaf || (opcode & 0xf0) == 0x40)
		return FORM_READS;
	return opcode == 0x1f ? FORM_WRITES : FORM_UNKNOWN;
}

/*
 * Step over an instruction that compilers put between the pushes: moves, addresses, arithmetic.
 * Return: false when it is another one, or writes the stack pointer or rbp.
 */
static bool skip_plain(struct cursor *code)
{
	struct cursor at = *code;
	uint8_t rex = 0;
	if (at.n >= 2 && (at.at[0] & 0xf0) == 0x40) {
		rex = *at.at++;
		at.n--;
	}
	if (at.n < 2)
		return false;
	const bool two = at.at[0] == 0x0f;
	const size_t opcode_bytes = two ? 2 : 1;
	const enum form form = two ? form_of_two(at.at[1]) : form_of(at.at[0]);
	size_t n = opcode_bytes;
	if (form == FORM_UNKNOWN)
		return false;
	if (form == FORM_IMM32) {
		n += rex & 8 ? 8 : 4;
		if ((at.at[0] & 6) == 4 && !(rex & 1)) /* of rsp or rbp */
			return false;
	} else if (form != FORM_NONE) {
		const bool reads =
			form == FORM_READS || form == FORM_READS_IMM8 || form == FORM_READS_IMM32;
		const size_t operand = operand_bytes(at.at + n, at.n - n);
		if (operand == 0 || is_stack_register(rex, at.at[n], reads))
			return false;
		n += operand;
		n += form == FORM_IMM8_OP || form == FORM_READS_IMM8 ? 1 : 0;
		n += form == FORM_IMM32_OP || form == FORM_READS_IMM32 ? 4 : 0;
	}
	if (at.n < n)
		return false;
	code->at = at.at + n;
	code->n = at.n - n;
	return true;
}

/* A push of a register. */
static bool take_push(struct cursor *code)
{
	const bool extended = code->n >= 2 && code->at[0] == 0x41;
	if (code->n < 2 || (code->at[extended] & 0xf8) != 0x50)
		return false;
	code->at += 1 + extended;
	code->n -= 1 + extended;
	return true;
}

/* "sub $imm, %rsp" */
static bool take_sub(struct cursor *code, uint64_t *bytes)
{
	int32_t imm;
	if (TAKE(code, "\x48\x83\xc4\x80")) { /* "add $-128": one byte, and 128 takes four */
		imm = 128;
	} else if (code->n >= 4 && TAKE(code, "\x48\x83\xec")) {
		imm = code->at[0] < 128 ? code->at[0] : -1; /* no frame */
		code->at += 1;
		code->n -= 1;
	} else if (code->n >= 7 && TAKE(code, "\x48\x81\xec")) {
		memcpy(&imm, code->at, sizeof(imm));
		code->at += sizeof(imm);
		code->n -= sizeof(imm);
	} else {
		return false;
	}
	*bytes = (uint64_t)imm;
	return imm >= 0;
}

/* "push %rbp; mov %rsp, %rbp", with other instructions before and in between. */
static bool take_frame_pointer(struct cursor *code)
{
	bool pushed = false;
	TAKE(code, "\xf3\x0f\x1e\xfa"); /* endbr64 */
	for (;;) {
		if (!pushed && TAKE(code, "\x55"))
			pushed = true;
		else if (pushed && (TAKE(code, "\x48\x89\xe5") || TAKE(code, "\x48\x8b\xec")))
			return true;
		else if (!skip_plain(code))
			return false;
	}
}

bool prologue_frame(const uint8_t *code, size_t n, uint64_t *frame_bytes)
{
	struct cursor at = {code, n};
	uint64_t bytes = 0, subtracted;
	if (!take_frame_pointer(&at))
		return false;
	for (;;) {
		if (take_push(&at)) {
			bytes += 8;
			continue;
		}
		if (take_sub(&at, &subtracted)) {
			bytes += subtracted;
			break; /* compilers subtract once, and last */
		}
		if (!skip_plain(&at))
			break;
	}
	*frame_bytes = bytes;
	return true;
}
