#include "stack_switch.h"

#include <string.h>

enum {
	WINDOW = 48,    /* bytes that are looked at: asmcgocall has 37 between load and return */
	BEHIND = 8,     /* what an interrupted instruction and the next ones tell of the load */
	LOAD_BYTES = 4, /* and 3 of systemstack's move, whose next instruction is looked at, too */
	/* The jump over the load: "jne; mov (%rbx), %rdx" is in front of it. */
	JUMP_BYTES = 2,
	JUMP_OFF_MAX = 8,
	FRAME_BYTES_MAX = 96, /* from the vDSO's return to the frame pointer: 24, aligned, and 32 */
};

/* mov 0x38(reg), %rsp; of r12 and rsp it would have a SIB byte. */
static bool is_load(const uint8_t *code)
{
	return (code[0] == 0x48 || code[0] == 0x49) && code[1] == 0x8b &&
	       (code[2] & 0xf8) == 0x60 && code[2] != 0x64 && code[3] == 0x38;
}

static bool is_jumped_over(const uint8_t *code, size_t at)
{
	for (size_t off = JUMP_BYTES; off <= JUMP_OFF_MAX && off <= at; off++)
		if (code[at - off] == 0x75 && code[at - off + 1] == off - JUMP_BYTES + LOAD_BYTES)
			return true;
	return false;
}

/* "push %rax" behind the load, or behind "mov $0, %ebp" in its two encodings (Go 1.21). */
static bool is_mcall(const uint8_t *behind, size_t n)
{
	static const struct {
		const char *bytes;
		size_t n;
	} forms[] = {{"\x50", 1},
		     {"\x31\xed\x50", 3},
		     {"\xbd\x00\x00\x00\x00\x50", 6},
		     {"\x48\xc7\xc5\x00\x00\x00\x00\x50", 8}};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].n <= n && memcmp(behind, forms[i].bytes, forms[i].n) == 0)
			return true;
	return false;
}

enum stack_switch stack_switch_at(struct address_space *space, uint64_t lookup)
{
	static const char systemstack[] = "\x48\x89\xdc\x48\x89\xfa";
	const struct mapping *mapping = address_space_find(space, lookup);
	if (!mapping || !mapping->image || !elf_image_is_go(mapping->image))
		return STACK_SWITCH_NONE;
	/* the window ends with a call's last byte, or an interrupted instruction's first one */
	uint8_t code[WINDOW + BEHIND];
	if (!address_space_code(space, lookup + 1 - WINDOW, code, sizeof(code)))
		return STACK_SWITCH_NONE;
	for (size_t at = WINDOW - LOAD_BYTES; at > 0; at--) {
		if (memcmp(code + at, systemstack, sizeof(systemstack) - 1) == 0)
			return STACK_SWITCH_AWAY;
		if (!is_load(code + at))
			continue;
		if (is_jumped_over(code, at))
			return STACK_SWITCH_MAYBE;
		return is_mcall(code + at + LOAD_BYTES, WINDOW + BEHIND - at - LOAD_BYTES)
			       ? STACK_SWITCH_ROOT
			       : STACK_SWITCH_AWAY;
	}
	return STACK_SWITCH_NONE;
}

bool stack_switch_step(struct walk *walk, enum stack_switch kind, uint64_t fp, struct frame *next,
		       uint64_t *caller_fp, enum cp_stop *stop)
{
	const uint64_t sp = walk->frame.sp;
	if (kind == STACK_SWITCH_ROOT) {
		*stop = CP_STOP_END;
		return false;
	}
	if (kind == STACK_SWITCH_MAYBE && fp > sp && fp - sp < FRAME_BYTES_MAX)
		return walk_by_frame_pointer(walk, fp, next, caller_fp, stop);
	walk->stack_swapped = true;
	*stop = CP_STOP_TRUNCATED;
	return false;
}
