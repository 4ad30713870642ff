#include "causes.h"

#include "elf/elf_image.h"
#include "unwind/no_cfi.h"
#include "unwind/stack_switch.h"

#include <string.h>
#include <unistd.h>

enum { RED_ZONE_BYTES = 128, CALL_BYTES_MAX = 7, PLT_ENTRY_BYTES = 8 };

static bool rows_end_there(const struct difference *d)
{
	return d->common == d->answers->rows.n;
}

static bool libdw_ends_there(const struct difference *d)
{
	return d->common == d->answers->libdw.n;
}

static bool rule_uses_rbp(cfi_rule rule)
{
	const enum cfi_kind kind = cfi_rule_kind(rule);
	return kind == CFI_RBP || kind == CFI_DEREF_RBP || kind == CFI_NONE;
}

/*
 * Between "pop %rbp" and "ret" compilers leave the register's rule as it was: in a slot that now
 * lies below the stack pointer, and outside of every copy. libdw then has no rbp in the callers
 * and ends at the first one that needs it; the walks of cprof take it from the register.
 */
static bool popped_register(const struct difference *d)
{
	const struct libdw_result *libdw = &d->answers->libdw;
	return libdw_ends_there(d) && libdw->missed && libdw->missed_avma < d->sample->stack.sp &&
	       d->sample->stack.sp - libdw->missed_avma <= RED_ZONE_BYTES && rule_uses_rbp(d->rule);
}

/* Where no table covers the code, libdw takes rbp for a frame pointer without a check. */
static bool guess_without_cfi(const struct difference *d)
{
	return !d->libdw_has_cfi && cfi_rule_kind(d->rule) == CFI_NONE && !libdw_ends_there(d);
}

/* libdw's x86-64 fallback ends where rbp does not lead outward, and knows no code without file. */
static bool no_guess_without_cfi(const struct difference *d)
{
	return !d->libdw_has_cfi && cfi_rule_kind(d->rule) == CFI_NONE && libdw_ends_there(d);
}

/* Go's tables describe the frame as it was before its runtime has changed stacks. */
static bool behind_a_stack_switch(const struct difference *d)
{
	const enum stack_switch kind = stack_switch_at(d->ways->space, d->at);
	return kind == STACK_SWITCH_MAYBE || (kind != STACK_SWITCH_NONE && rows_end_there(d));
}

/*
 * lld sorts the index of .eh_frame by offsets from the index, without their signs: code below it
 * comes last, where the search of libdw finds neither that nor the last function above. It steps by
 * rbp then, and has lost the registers of all callers, if not more. cprof sees the disorder.
 */
static bool is_in_disorder(const struct difference *d, uint64_t avma)
{
	const struct mapping *mapping = address_space_find(d->ways->space, avma);
	const uint64_t index = libdw_walker_index(d->ways->libdw, avma);
	bool below = false, above = false;
	size_t n;
	if (!mapping || !mapping->image || !mapping->rows ||
	    cfi_rule_kind(cfi_table_find(mapping->rows, avma - mapping->bias)) == CFI_NONE ||
	    libdw_walker_has_cfi(d->ways->libdw, avma))
		return false;
	const struct elf_segment *segments = elf_image_segments(mapping->image, &n);
	for (size_t i = 0; i < n; i++) {
		below |= segments[i].exec && segments[i].svma + mapping->bias < index;
		above |= segments[i].exec && segments[i].svma + mapping->bias > index;
	}
	return below && above;
}

static bool index_in_disorder(const struct difference *d)
{
	for (size_t i = 0; i < d->common; i++)
		if (is_in_disorder(d, d->answers->rows.pcs[i]))
			return true;
	return false;
}

/* A coroutine's first function returns to the first byte of its root, which nothing has called. */
static bool before_a_coroutines_root(const struct difference *d)
{
	const struct three_answers *a = d->answers;
	return a->rows.stop == CP_STOP_END && a->rows.n == d->common + 1 && !libdw_ends_there(d) &&
	       a->libdw.pcs[d->common] + 1 == a->rows.pcs[d->common] &&
	       no_cfi_is_coroutine_root(d->ways->space, a->rows.pcs[d->common]);
}

/*
 * glibc's __longjmp describes the frame that it goes to, by the registers that hold it: further in,
 * or out, than its own, and not its caller's. libdw follows.
 */
static bool target_of_longjmp(const struct difference *d)
{
	uint64_t off;
	const char *name = libdw_walker_symbol(d->ways->libdw, d->at, &off);
	return d->common == 1 && rows_end_there(d) &&
	       d->answers->rows.stop == CP_STOP_SP_BACKWARDS &&
	       cfi_rule_kind(d->rule) == CFI_UNSUPPORTED && name && strcmp(name, "__longjmp") == 0;
}

/*
 * A signal's trampoline is returned to at its first byte. glibc's table begins a byte earlier for
 * those who subtract one from every return address; Go's does not, and libdw looks in front of it.
 * The return address is the same, and rows take it for the beginning of a trampoline.
 */
static bool before_a_trampoline(const struct difference *d)
{
	const struct three_answers *a = d->answers;
	if (rows_end_there(d) || libdw_ends_there(d))
		return false;
	const uint64_t avma = a->rows.pcs[d->common];
	uint64_t off;
	return a->libdw.pcs[d->common] + 1 == avma &&
	       libdw_walker_symbol(d->ways->libdw, avma, &off) && off == 0;
}

/* The outermost frame is known by its return address of 0, or by argc and argv above it. */
static bool past_the_root(const struct difference *d)
{
	return rows_end_there(d) && d->answers->rows.stop == CP_STOP_END;
}

/* libdw lists a return address that is in no code, as its last frame. */
static bool address_in_no_code(const struct difference *d)
{
	const struct libdw_result *libdw = &d->answers->libdw;
	const enum cp_stop stop = d->answers->rows.stop;
	return rows_end_there(d) && (stop == CP_STOP_NO_MAP || stop == CP_STOP_BAD_RA) &&
	       libdw->n == d->common + 1 &&
	       !address_space_find(d->ways->space, libdw->pcs[d->common]);
}

/* A register that the copy ends before is left unset by libdw; what needs no such register goes
 * on. */
static bool beyond_the_copy(const struct difference *d)
{
	return rows_end_there(d) && d->answers->rows.stop == CP_STOP_TRUNCATED &&
	       d->answers->libdw.missed;
}

const struct cause causes[] = {
	{"libdw loses rbp in an epilogue", popped_register},
	{"libdw guesses by rbp where no table covers the code", guess_without_cfi},
	{"libdw has no frame pointer step where no table covers the code", no_guess_without_cfi},
	{"libdw takes what is left where Go has changed stacks", behind_a_stack_switch},
	{"libdw searches an index of lld's that is in disorder", index_in_disorder},
	{"libdw looks before the beginning of a coroutine's root", before_a_coroutines_root},
	{"libdw follows longjmp to where it goes", target_of_longjmp},
	{"libdw looks before the beginning of a signal's trampoline", before_a_trampoline},
	{"libdw goes on past the thread's root", past_the_root},
	{"libdw lists an address in no code as a frame", address_in_no_code},
	{"libdw goes on without a register beyond the copy", beyond_the_copy},
	{NULL, NULL},
};

void difference_init(const struct three_ways *ways, const struct capture_sample *sample,
		     const struct three_answers *answers, struct difference *out)
{
	*out = (struct difference){.ways = ways, .sample = sample, .answers = answers};
	out->common = three_ways_common(answers->rows.pcs, answers->rows.n, answers->libdw.pcs,
					answers->libdw.n);
	if (out->common == 0)
		return;
	out->at = answers->rows.pcs[out->common - 1];
	const struct mapping *mapping = address_space_find(ways->space, out->at);
	if (mapping && mapping->rows)
		out->rule = cfi_table_find(mapping->rows, out->at - mapping->bias);
	out->libdw_has_cfi = libdw_walker_has_cfi(ways->libdw, out->at);
}

size_t cause_of(const struct difference *difference)
{
	size_t i = 0;
	while (causes[i].name && !causes[i].holds(difference))
		i++;
	return i;
}

/* call rel32, and call r/m64 in the lengths that its addressing modes have (with or without REX) */
bool follows_a_call(int mem_fd, uint64_t lookup)
{
	uint8_t code[CALL_BYTES_MAX + 1]; /* ends with the byte at lookup */
	if (pread(mem_fd, code, sizeof(code), (off_t)(lookup + 1 - sizeof(code))) != sizeof(code))
		return false;
	const uint8_t *end = code + sizeof(code);
	if (end[-5] == 0xe8)
		return true;
	for (int length = 2; length <= CALL_BYTES_MAX; length++)
		if (end[-length] == 0xff && (end[-length + 1] & 0x38) == 0x10)
			return true;
	return false;
}

static bool all_called(int mem_fd, const uint64_t *pcs, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++)
		if (!follows_a_call(mem_fd, pcs[i]))
			return false;
	return true;
}

/* The call before a frame is a direct one, of the function that holds its callee's address. */
static bool calls_callee(struct libdw_walker *libdw, int mem_fd, uint64_t lookup, uint64_t callee)
{
	uint8_t call[5];
	int32_t distance;
	uint64_t target_off, callee_off;
	if (pread(mem_fd, call, sizeof(call), (off_t)(lookup - 4)) != sizeof(call) ||
	    call[0] != 0xe8)
		return false;
	memcpy(&distance, call + 1, sizeof(distance));
	const uint64_t target = lookup + 1 + (uint64_t)(int64_t)distance;
	if (target <= callee && callee - target < PLT_ENTRY_BYTES)
		return true; /* has no symbol, and what lies so near begins there */
	const char *name = libdw_walker_symbol(libdw, target, &target_off);
	const char *callee_name = libdw_walker_symbol(libdw, callee, &callee_off);
	return name && callee_name && target - target_off == callee - callee_off;
}

enum verdict verdict_of(const struct difference *d, int mem_fd)
{
	const struct unwind_result *rows = &d->answers->rows;
	const struct libdw_result *libdw = &d->answers->libdw;
	if (d->common == 0)
		return VERDICT_OPEN;
	const bool rows_called = all_called(mem_fd, rows->pcs, d->common, rows->n);
	const bool libdw_called = all_called(mem_fd, libdw->pcs, d->common, libdw->n);
	const bool rows_proved = d->common < rows->n &&
				 calls_callee(d->ways->libdw, mem_fd, rows->pcs[d->common], d->at);
	const bool libdw_proved =
		d->common < libdw->n &&
		calls_callee(d->ways->libdw, mem_fd, libdw->pcs[d->common], d->at);
	if (libdw_called && ((libdw_proved && !rows_proved) || !rows_called))
		return libdw->n > d->common ? VERDICT_ROWS_WRONG : VERDICT_OPEN;
	if (rows_called && ((rows_proved && !libdw_proved) || !libdw_called))
		return VERDICT_ROWS_RIGHT;
	return VERDICT_OPEN;
}
