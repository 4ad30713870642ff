#include "fp_search.h"

#include "callee.h"
#include "no_cfi.h"
#include "prologue.h"
#include "rows/cfi_rows.h"
#include "walk.h"

#include <stdlib.h>
#include <string.h>

enum {
	WORD = sizeof(uint64_t),
	ALIGN = 16, /* of a CFA: psABI 3.2.2 */
	REACH_BYTES = 256 << 10,
	WALKS_MAX = 48,
	LINKS_MAX = 16, /* calls that are checked, from the inside */
	FUNCTION_MAX = 8192,
};

/* The frame that is looked for. */
struct wanted {
	uint64_t start, end; /* avma of its function */
	bool moves_sp;       /* that does more to the stack pointer than its beginning says */
	uint64_t sp;         /* in it */
	size_t at;           /* in the result */
	uint64_t fp_to_cfa;  /* bytes */
	uint64_t least_cfa;
};

void fp_search_deinit(struct fp_search *search)
{
	free(search->pcs);
	free(search->sps);
	free(search->first_sps);
	search->pcs = search->sps = search->first_sps = NULL;
}

static bool allocate(struct fp_search *search)
{
	if (!search->pcs)
		search->pcs = calloc(UNWIND_MAX_FRAMES, sizeof(*search->pcs));
	if (!search->sps)
		search->sps = calloc(UNWIND_MAX_FRAMES, sizeof(*search->sps));
	if (!search->first_sps)
		search->first_sps = calloc(UNWIND_MAX_FRAMES, sizeof(*search->first_sps));
	return search->pcs && search->sps && search->first_sps;
}

/*
 * "sub %reg, %rsp" or "mov %reg, %rsp" is somewhere in the function, or seems to be: bytes of other
 * instructions may look like it, which makes the search more careful than it need be.
 */
static bool moves_stack_pointer(struct address_space *space, uint64_t start, uint64_t end)
{
	uint8_t code[FUNCTION_MAX];
	const size_t n = end - start < sizeof(code) ? (size_t)(end - start) : 0;
	if (n == 0 || !address_space_code(space, start, code, n))
		return true;
	for (size_t i = 0; i + 2 < n; i++)
		if ((code[i] == 0x48 || code[i] == 0x4c) &&
		    (code[i + 1] == 0x29 || code[i + 1] == 0x89) && (code[i + 2] & 0xc7) == 0xc4)
			return true;
	return false;
}

static bool find_wanted(struct address_space *space, const struct unwind_result *cut,
			struct wanted *out)
{
	uint8_t code[PROLOGUE_BYTES];
	uint64_t frame_bytes;
	if (cut->n == 0 || cut->n_omitted || !cut->sps)
		return false;
	out->at = cut->n - 1;
	out->sp = cut->sps[out->at];
	const uint64_t lookup = cut->pcs[out->at];
	const struct mapping *mapping = address_space_find(space, lookup);
	if (!mapping || !mapping->rows)
		return false;
	const cfi_rule rule = cfi_table_find(mapping->rows, lookup - mapping->bias);
	if (cfi_rule_kind(rule) != CFI_RBP || cfi_rule_offset(rule) < 2 * WORD ||
	    !callee_function(space, lookup, &out->start, &out->end))
		return false;
	out->moves_sp = moves_stack_pointer(space, out->start, out->end);
	out->fp_to_cfa = (uint64_t)cfi_rule_offset(rule);
	/* the end of a function that is shorter than this is the beginning of others */
	if (!address_space_code(space, out->start, code, sizeof(code)) ||
	    !prologue_frame(code, sizeof(code), &frame_bytes))
		frame_bytes = 0;
	out->least_cfa = out->sp + frame_bytes + out->fp_to_cfa;
	return true;
}

/* Whom the call has called that returns to @lookup + 1. */
static enum no_cfi_call call_at(struct address_space *space, uint64_t lookup, uint64_t *target)
{
	return no_cfi_call_before(space, lookup + 1, target);
}

/* No call on the way says that it has called another function than is there. */
static bool links_agree(struct address_space *space, const struct unwind_result *walk, size_t from)
{
	for (size_t i = from; i + 1 < walk->n && i < from + LINKS_MAX; i++) {
		uint64_t target, start, end;
		const enum no_cfi_call call = call_at(space, walk->pcs[i + 1], &target);
		if (call == NO_CFI_NO_CALL)
			return false;
		if (call == NO_CFI_CALL_DIRECT &&
		    (!callee_function(space, walk->pcs[i], &start, &end) || start != target))
			return false;
	}
	return true;
}

/* By its information. A return address of 0 ends a walk too, but zeros are everywhere. */
static bool is_root(struct address_space *space, uint64_t lookup)
{
	const struct mapping *mapping = address_space_find(space, lookup);
	return mapping && mapping->rows &&
	       cfi_rule_kind(cfi_table_find(mapping->rows, lookup - mapping->bias)) == CFI_END;
}

/* @n: frames of the walk */
static bool leads_to_root(struct fp_search *search, const struct fp_search_thread *thread,
			  const struct wanted *wanted, uint64_t cfa, uint64_t ra, size_t *n)
{
	struct unwind_result walk = {
		.pcs = search->pcs, .sps = search->sps, .cap = UNWIND_MAX_FRAMES};
	struct unwind_regs regs = *thread->regs;
	unwind_regs_set_fp(&regs, cfa - wanted->fp_to_cfa);
	unwinder_walk_known(thread->unwinder, &regs, thread->known | unwind_regs_fp_bit(),
			    thread->stack, &walk);
	const size_t caller = wanted->at + 1;
	*n = walk.n;
	return walk.stop == CP_STOP_END && !walk.n_omitted && walk.n > caller &&
	       is_root(thread->space, walk.pcs[walk.n - 1]) && walk.sps[caller] == cfa &&
	       walk.pcs[caller] == unwind_lookup_pc(ra, true) &&
	       links_agree(thread->space, &walk, caller);
}

/* Places that qualify, by what the call before their return address says. */
struct found {
	uint64_t direct_cfa, indirect_cfa;
	bool indirect_is_expected; /* it is where the function's beginning says */
	unsigned n_direct, n_indirect, n_walks;
};

/* A frame of the walk from the first place that qualified. */
static bool is_on_first(const struct fp_search *search, uint64_t cfa)
{
	for (size_t i = 0; i < search->n_first; i++)
		if (search->first_sps[i] == cfa)
			return true;
	return false;
}

/* Return: true when the search is over. */
static bool look_at(struct fp_search *search, const struct fp_search_thread *thread,
		    const struct wanted *wanted, uint64_t cfa, struct found *found)
{
	uint64_t ra, target = 0;
	if (!walk_read(thread->stack, cfa - WORD, &ra))
		return true;
	const enum no_cfi_call call = no_cfi_call_before(thread->space, ra, &target);
	if (call == NO_CFI_NO_CALL || (call == NO_CFI_CALL_DIRECT && target != wanted->start))
		return false;
	if (call == NO_CFI_CALL_INDIRECT && ra >= wanted->start && ra <= wanted->end)
		return false;
	if (found->n_direct && (call == NO_CFI_CALL_INDIRECT || is_on_first(search, cfa)))
		return false;
	if (++found->n_walks > WALKS_MAX) {
		found->n_direct = found->n_indirect = 0;
		return true;
	}
	const bool is_expected = cfa == wanted->least_cfa && cfa > wanted->sp + wanted->fp_to_cfa;
	size_t n;
	if (!leads_to_root(search, thread, wanted, cfa, ra, &n))
		return false;
	if (call == NO_CFI_CALL_DIRECT) {
		if (found->n_direct++ == 0) {
			memcpy(search->first_sps, search->sps, n * sizeof(*search->sps));
			search->n_first = n;
		}
		found->direct_cfa = cfa;
		return is_expected;
	}
	if (found->indirect_is_expected)
		return false;
	found->n_indirect++;
	found->indirect_cfa = cfa;
	found->indirect_is_expected = is_expected && !wanted->moves_sp;
	return false;
}

bool fp_search_run(struct fp_search *search, const struct fp_search_thread *thread,
		   const struct unwind_result *cut, uint64_t *fp)
{
	struct wanted wanted;
	struct found found = {.n_walks = 0};
	if (!cut->needs_fp || !allocate(search) || !find_wanted(thread->space, cut, &wanted))
		return false;
	uint64_t cfa = (wanted.least_cfa + ALIGN - 1) / ALIGN * ALIGN;
	for (; cfa - wanted.sp < REACH_BYTES; cfa += ALIGN)
		if (look_at(search, thread, &wanted, cfa, &found))
			break;
	if (found.n_direct == 1)
		*fp = found.direct_cfa - wanted.fp_to_cfa;
	else if (found.n_direct == 0 && found.n_indirect == 1)
		*fp = found.indirect_cfa - wanted.fp_to_cfa;
	else
		return false;
	return true;
}
