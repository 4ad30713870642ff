#include "rows_walk.h"

#include "no_cfi.h"
#include "rows/cfi_step.h"
#include "stack_switch.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The cache begins small and grows while addresses push each other out of it: most processes of a
 * machine have a sample or two, and 64 KB for each of them would be most of what a recorder holds.
 */
enum { CACHE_BITS_MIN = 7, CACHE_BITS_MAX = 14, KNOWN_STEP_BITS = 9 };

/* What an address is, where a rule is wanted. RULE_NO_MAP is not kept: a mapping can come. */
static const cfi_rule RULE_NO_MAP = UINT32_MAX;

struct slot {
	uint64_t avma; /* 0 = empty */
	cfi_rule rule;
	bool was_called; /* the code was looked at: it is NO_CFI_CALLED */
	uint8_t stack_switch;
};

/* A step without information that was found right: it looks at code, which takes long. */
struct known_step {
	uint64_t pc, ra; /* of the frame, and of its caller; 0 = empty */
};

struct rows_walker {
	struct address_space *space;
	uint64_t generation; /* of the space that the slots are about */
	struct slot *slots;
	unsigned bits;                  /* there are 1 << bits */
	unsigned evicted;               /* since it has this size */
	struct known_step *known_steps; /* KNOWN_STEPS; NULL until there is one */
};

static int resize_cache(struct rows_walker *walker, unsigned bits)
{
	struct slot *slots = calloc((size_t)1 << bits, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(walker->slots);
	walker->slots = slots;
	walker->bits = bits;
	walker->evicted = 0;
	return 0;
}

int rows_walker_create(struct address_space *space, struct rows_walker **out)
{
	struct rows_walker *walker = calloc(1, sizeof(*walker));
	if (!walker)
		return -ENOMEM;
	if (resize_cache(walker, CACHE_BITS_MIN) < 0) {
		free(walker);
		return -ENOMEM;
	}
	walker->space = space;
	walker->generation = address_space_generation(space);
	*out = walker;
	return 0;
}

void rows_walker_destroy(struct rows_walker *walker)
{
	if (!walker)
		return;
	free(walker->slots);
	free(walker->known_steps);
	free(walker);
}

static void sync_cache(struct rows_walker *walker)
{
	const uint64_t generation = address_space_generation(walker->space);
	if (walker->generation == generation)
		return;
	walker->generation = generation;
	for (size_t i = 0; i < (size_t)1 << walker->bits; i++)
		walker->slots[i].avma = 0;
	free(walker->known_steps);
	walker->known_steps = NULL;
}

static struct slot *slot_of(const struct rows_walker *walker, uint64_t avma)
{
	return &walker->slots[avma * 0x9e3779b97f4a7c15ULL >> (64 - walker->bits)];
}

static void keep_rule(struct rows_walker *walker, uint64_t avma, cfi_rule rule)
{
	struct slot *slot = slot_of(walker, avma);
	walker->evicted += slot->avma != 0;
	/* what was in it comes back by itself; without memory it stays as large as it is */
	if (walker->evicted >> walker->bits && walker->bits < CACHE_BITS_MAX &&
	    resize_cache(walker, walker->bits + 1) == 0)
		slot = slot_of(walker, avma);
	*slot = (struct slot){.avma = avma, .rule = rule};
}

static cfi_rule find_rule(struct rows_walker *walker, uint64_t avma)
{
	const struct slot *slot = slot_of(walker, avma);
	if (slot->avma == avma && avma != 0)
		return slot->rule;
	const struct mapping *mapping = address_space_find(walker->space, avma);
	if (!mapping)
		return RULE_NO_MAP;
	const cfi_rule rule =
		mapping->rows ? cfi_table_find(mapping->rows, avma - mapping->bias) : CFI_NONE;
	keep_rule(walker, avma, rule);
	slot_of(walker, avma)->stack_switch = (uint8_t)stack_switch_at(walker->space, avma);
	return rule;
}

/* @lookup: whose rule was found last */
static enum stack_switch find_switch(const struct rows_walker *walker, uint64_t lookup)
{
	const struct slot *slot = slot_of(walker, lookup);
	return slot->avma == lookup ? (enum stack_switch)slot->stack_switch
				    : stack_switch_at(walker->space, lookup);
}

/* As no_cfi_entry_of(), which looks at code, and once is enough. */
static enum no_cfi_entry entry_of(struct rows_walker *walker, cfi_rule rule,
				  const struct frame *frame)
{
	struct slot *slot = slot_of(walker, frame->lookup);
	if (cfi_rule_kind(rule) != CFI_NONE || frame->interrupted ||
	    (slot->avma == frame->lookup && slot->was_called))
		return NO_CFI_CALLED;
	const enum no_cfi_entry entry = no_cfi_entry_of(walker->space, frame->pc);
	if (slot->avma == frame->lookup)
		slot->was_called = entry == NO_CFI_CALLED;
	return entry;
}

/*
 * The rule of an interrupted pc. A trampoline's system call does not return, so that the pc of a
 * thread inside it is one past the end of all code.
 */
static cfi_rule find_leaf_rule(struct rows_walker *walker, uint64_t *lookup)
{
	const cfi_rule rule = find_rule(walker, *lookup);
	if (rule == RULE_NO_MAP || cfi_rule_kind(rule) != CFI_NONE)
		return rule;
	const cfi_rule before = find_rule(walker, *lookup - 1);
	if (before == RULE_NO_MAP || cfi_rule_kind(before) != CFI_SIGNAL)
		return rule;
	--*lookup;
	return before;
}

enum outcome { OUTCOME_CALLER, OUTCOME_STOP, OUTCOME_NOT_BY_ROWS };

static bool needs_fp(cfi_rule rule)
{
	return cfi_rule_kind(rule) == CFI_RBP || cfi_rule_kind(rule) == CFI_DEREF_RBP;
}

/* The rule says where in memory the caller's rbp is. */
static bool gives_fp(cfi_rule rule)
{
	return cfi_rule_rbp(rule) != CFI_RBP_SAME && cfi_rule_rbp(rule) != CFI_RBP_AT_RBP;
}

static enum outcome step_by_rule(struct walk *walk, cfi_rule rule, struct cfi_regs *regs,
				 struct frame *next, enum cp_stop *stop)
{
	const struct cfi_stack stack = {walk->stack->sp, walk->stack->bytes, walk->stack->n_bytes};
	uint64_t missing = 0;
	if (walk->fp_unknown) {
		if (needs_fp(rule)) {
			walk->needs_fp = true;
			*stop = CP_STOP_TRUNCATED;
			return OUTCOME_STOP;
		}
		if (!gives_fp(rule))
			rule = cfi_rule_rbp_kept(rule);
	}
	enum cfi_step step = cfi_step(rule, &stack, regs, &missing);
	/*
	 * Compilers do not say that an epilogue has popped rbp: between "pop %rbp" and "ret" its
	 * slot lies below the stack pointer, and what was in it is in the register again.
	 */
	if (step == CFI_STEP_NO_MEM && missing < regs->rsp && regs->rsp == walk->stack->sp) {
		rule = cfi_rule_rbp_kept(rule);
		step = cfi_step(rule, &stack, regs, &missing);
	}
	switch (step) {
	case CFI_STEP_OK:
	case CFI_STEP_SIGNAL:
		walk->fp_unknown &= step == CFI_STEP_OK && !gives_fp(rule);
		break;
	case CFI_STEP_END:
		*stop = CP_STOP_END;
		return OUTCOME_STOP;
	case CFI_STEP_NO_MEM:
		*stop = walk_stop_of_fault(walk, missing);
		return OUTCOME_STOP;
	case CFI_STEP_BACKWARDS:
		*stop = CP_STOP_SP_BACKWARDS;
		return OUTCOME_STOP;
	default:
		return OUTCOME_NOT_BY_ROWS;
	}
	*next = (struct frame){
		.pc = regs->rip, .sp = regs->rsp, .interrupted = step == CFI_STEP_SIGNAL};
	return walk_accept(walk, next, stop) ? OUTCOME_CALLER : OUTCOME_STOP;
}

static size_t known_step_at(uint64_t pc, uint64_t ra)
{
	return (pc * 31 + ra) * 0x9e3779b97f4a7c15ULL >> (64 - KNOWN_STEP_BITS);
}

static void keep_step(struct rows_walker *walker, uint64_t pc, uint64_t ra)
{
	if (!walker->known_steps)
		walker->known_steps =
			calloc((size_t)1 << KNOWN_STEP_BITS, sizeof(*walker->known_steps));
	if (walker->known_steps)
		walker->known_steps[known_step_at(pc, ra)] = (struct known_step){pc, ra};
}

/*
 * Of a frame that was not interrupted, no_cfi_step() judges the two addresses that its frame
 * pointer gives by their code and by nothing else: the same two get the same answer.
 */
static bool step_as_before(struct rows_walker *walker, const struct walk *walk, uint64_t fp,
			   struct frame *next, uint64_t *caller_fp)
{
	enum cp_stop unused;
	if (!walker->known_steps || walk->frame.interrupted ||
	    !walk_by_frame_pointer(walk, fp, next, caller_fp, &unused))
		return false;
	const struct known_step *known =
		&walker->known_steps[known_step_at(walk->frame.pc, next->pc)];
	return known->pc == walk->frame.pc && known->ra == next->pc;
}

static enum outcome step_without_rule(struct rows_walker *walker, struct walk *walk,
				      const struct unwind_regs *user_regs, struct cfi_regs *regs,
				      struct frame *next, enum cp_stop *stop)
{
	uint64_t caller_fp;
	if (walk->fp_unknown || !step_as_before(walker, walk, regs->rbp, next, &caller_fp)) {
		struct unwind_regs frame_regs = *user_regs;
		unwind_regs_set_fp(&frame_regs, regs->rbp);
		if (!no_cfi_step(walk, &frame_regs, !walk->fp_unknown, next, &caller_fp, stop)) {
			walk->needs_fp = walk->fp_unknown && *stop == CP_STOP_NO_CFI;
			return OUTCOME_STOP;
		}
		if (find_rule(walker, unwind_lookup_pc(next->pc, !next->interrupted)) ==
		    RULE_NO_MAP)
			return OUTCOME_STOP; /* *stop is NO_CFI */
		if (!walk->frame.interrupted && !next->interrupted)
			keep_step(walker, walk->frame.pc, next->pc);
	}
	*regs = (struct cfi_regs){.rip = next->pc, .rsp = next->sp, .rbp = caller_fp};
	walk->fp_unknown &= !next->interrupted;
	return OUTCOME_CALLER;
}

static enum outcome step_over_switch(struct walk *walk, enum stack_switch kind,
				     struct cfi_regs *regs, struct frame *next, enum cp_stop *stop)
{
	uint64_t caller_fp;
	if (!stack_switch_step(walk, kind, walk->fp_unknown ? 0 : regs->rbp, next, &caller_fp,
			       stop))
		return OUTCOME_STOP;
	*regs = (struct cfi_regs){.rip = next->pc, .rsp = next->sp, .rbp = caller_fp};
	return OUTCOME_CALLER;
}

/* @rule: of walk->frame */
static enum outcome step(struct rows_walker *walker, struct walk *walk, cfi_rule rule,
			 const struct unwind_regs *user_regs, struct cfi_regs *regs,
			 struct frame *next, enum cp_stop *stop)
{
	const enum stack_switch kind = find_switch(walker, walk->frame.lookup);
	if (kind != STACK_SWITCH_NONE)
		return step_over_switch(walk, kind, regs, next, stop);
	if (cfi_rule_kind(rule) == CFI_NONE)
		return step_without_rule(walker, walk, user_regs, regs, next, stop);
	return step_by_rule(walk, rule, regs, next, stop);
}

bool rows_walker_walk(struct rows_walker *walker, const struct unwind_regs *user_regs,
		      bool fp_known, const struct unwind_stack *stack, struct unwind_result *result)
{
	sync_cache(walker);
	struct cfi_regs regs = {
		.rip = unwind_regs_pc(user_regs),
		.rsp = unwind_regs_sp(user_regs),
		.rbp = unwind_regs_fp(user_regs),
	};
	struct walk walk = {
		.space = walker->space,
		.stack = stack,
		.frame = {.pc = regs.rip, .sp = regs.rsp, .lookup = regs.rip, .interrupted = true},
		.fp_unknown = !fp_known,
	};
	cfi_rule rule = find_leaf_rule(walker, &walk.frame.lookup);
	result->pcs[0] = walk.frame.lookup;
	if (rule == RULE_NO_MAP) {
		result->stop = walk_stop_of_unmapped(walk.frame.pc);
		return true;
	}
	for (;;) {
		struct frame next;
		const bool by_frame_pointer = cfi_rule_kind(rule) == CFI_NONE;
		const enum outcome outcome =
			step(walker, &walk, rule, user_regs, &regs, &next, &result->stop);
		if (outcome != OUTCOME_CALLER) {
			result->left_copy = walk.stack_swapped;
			result->needs_fp = walk.needs_fp;
			return outcome == OUTCOME_STOP;
		}
		next.lookup = unwind_lookup_pc(next.pc, !next.interrupted);
		rule = find_rule(walker, next.lookup);
		if (rule == RULE_NO_MAP) {
			result->stop = no_cfi_is_coroutine_root(walker->space, walk.frame.lookup)
					       ? CP_STOP_END
					       : walk_stop_of_unmapped(next.pc);
			return true;
		}
		const enum no_cfi_entry entry = entry_of(walker, rule, &next);
		if (cfi_rule_kind(rule) == CFI_SIGNAL || entry != NO_CFI_CALLED)
			/* entered, not returned to */
			next.lookup = unwind_lookup_pc(next.pc, false);
		if (!walk_push(&walk, &next, result)) {
			/* more frames than words of stack: they go nowhere, least to the root */
			result->stop = CP_STOP_SP_BACKWARDS;
			return true;
		}
		result->n_fp_frames += by_frame_pointer;
		if (entry == NO_CFI_ROOT) {
			result->stop = CP_STOP_END;
			return true;
		}
		walk.frame = next;
	}
}
