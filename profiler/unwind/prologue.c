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

/* Writes the stack pointer: one of the instructions below with rsp as its destination. */
static bool is_rsp(uint8_t rex, uint8_t modrm, bool in_reg_field)
{
	if (in_reg_field)
		return !(rex & 4) && (modrm >> 3 & 7) == 4;
	return !(rex & 1) && modrm >> 6 == 3 && (modrm & 7) == 4;
}

/*
 * Step over an instruction that compilers put between the pushes: a move, an address, a zero, a
 * comparison. Return: false when it is another one, or touches the stack pointer.
 */
static bool skip_plain(struct cursor *code)
{
	struct cursor at = *code;
	uint8_t rex = 0;
	if (at.n >= 2 && (at.at[0] & 0xf0) == 0x40) {
		rex = *at.at++;
		at.n--;
	}
	if (at.n < 3)
		return false;
	const uint8_t opcode = at.at[0];
	const size_t operand = operand_bytes(at.at + 1, at.n - 1);
	size_t n = 1 + operand;
	bool to_reg = false;
	if (operand == 0)
		return false;
	switch (opcode) {
	case 0x8b: /* mov mem, reg */
	case 0x8d: /* lea */
	case 0x33:
	case 0x63: /* movslq */
		to_reg = true;
		break;
	case 0x89: /* mov reg, mem or reg */
	case 0x88:
	case 0x31: /* xor */
	case 0x85: /* test */
	case 0x39: /* cmp */
	case 0x3b:
		break;
	case 0xc7: /* mov $imm32 */
	case 0x81:
		n += 4;
		break;
	case 0xc6: /* mov $imm8 */
	case 0x83:
	case 0x80:
		n += 1;
		break;
	default:
		return false;
	}
	if (at.n < n || is_rsp(rex, at.at[1], to_reg))
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
		imm = (int8_t)code->at[0];
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

bool prologue_frame(const uint8_t *code, size_t n, uint64_t *frame_bytes)
{
	struct cursor at = {code, n};
	uint64_t bytes = 0, subtracted;
	TAKE(&at, "\xf3\x0f\x1e\xfa"); /* endbr64 */
	/* what is computed before rbp is set up, as "cmp; push %rbp", is rare: not looked for */
	if (!TAKE(&at, "\x55") || !(TAKE(&at, "\x48\x89\xe5") || TAKE(&at, "\x48\x8b\xec")))
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
