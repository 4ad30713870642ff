#include "last_stack.h"

static void copy_frame(struct walk_frame *to, const struct walk_frame *from)
{
	to->rip = from->rip;
	to->rsp = from->rsp;
	to->rbp = from->rbp;
	to->rbp_slot = from->rbp_slot;
	to->info = from->info;
}

/* Where the ucontext has what a signal frame's caller was computed from: see rows/cfi_step.c. */
static const uint64_t ucontext_words[] = {120, 160, 168};

static void add_word(struct last_stack *last, uint32_t *n, uint64_t address)
{
	last->words[*n].address = address;
	last->words[*n].value = last_stack_load(address);
	++*n;
}

/* A frame whose caller needs more than a return address and an rbp. */
static void add_unusual_words(struct last_stack *last, struct rule_cache *rules,
			      const struct walk_frame *frame, uint32_t *n)
{
	if (frame->info & WALK_SIGNAL) {
		for (unsigned i = 0; i < 3; i++)
			add_word(last, n, frame->rsp + ucontext_words[i]);
		return;
	}
	const cfi_rule rule = rule_cache_get(rules, walk_frame_lookup(frame->rip, frame->info));
	const uint64_t base = cfi_rule_kind(rule) == CFI_DEREF_RBP ? frame->rbp : frame->rsp;
	add_word(last, n, base + (uint64_t)cfi_rule_deref_offset(rule));
}

bool last_stack_remember(struct last_stack *last, struct rule_cache *rules, uint32_t at,
			 const struct walk_frame *frame)
{
	uint32_t n = at ? last->ends[at - 1] : 0;
	if (n + 3 > LAST_STACK_WORDS)
		return false;
	struct walk_frame *kept = &last->frames[at];
	copy_frame(kept, frame);
	uint64_t matters = frame->info & WALK_USES_RBP;
	if (at) {
		const struct walk_frame *caller = &last->frames[at - 1];
		const uint64_t caller_matters = caller->info & WALK_RBP_MATTERS;
		if (__builtin_expect((frame->info & (WALK_SIGNAL | WALK_DEREF)) != 0, 0))
			add_unusual_words(last, rules, frame, &n);
		if (!(frame->info & WALK_SIGNAL)) {
			last->words[n].address = caller->rsp - 8;
			last->words[n++].value = caller->rip;
		}
		if (frame->rbp_slot && caller_matters) {
			last->words[n].address = frame->rbp_slot;
			last->words[n++].value = caller->rbp;
		}
		if (!frame->rbp_slot && !(frame->info & WALK_SIGNAL))
			matters |= caller_matters;
	}
	if (matters)
		kept->info |= WALK_RBP_MATTERS;
	last->ends[at] = n;
	last->stamps[at] = ++last->stamp;
	return true;
}

void last_stack_keep(struct last_stack *last, const struct cfi_regs *leaf, uint32_t left,
		     uint32_t node)
{
	const uint32_t n_all = last->n ? last->ends[last->n - 1] : 0;
	const uint32_t at = n_all <= RECALL_WORDS ? 0 : left;
	const uint32_t from = at ? last->ends[at - 1] : 0;
	/* a stack that is all the remembered one's is found by walking as fast */
	if (last->n <= left || n_all - from > RECALL_WORDS || n_all == from)
		return;
	struct walk_recall *kept = last_stack_recalls(last, leaf) + last->n_kept++ % RECALL_WAYS;
	kept->rip = leaf->rip;
	kept->rsp = leaf->rsp;
	kept->rbp = leaf->rbp;
	kept->rbp_mask = last->frames[last->n - 1].info & WALK_RBP_MATTERS ? UINT64_MAX : 0;
	kept->hi = last->hi;
	kept->at = at;
	kept->stamp = at ? last->stamps[at - 1] : 0;
	kept->node = node;
	kept->n_words = n_all - from;
	for (uint32_t i = from; i < n_all; i++) {
		kept->words[i - from].address = last->words[i].address;
		kept->words[i - from].value = last->words[i].value;
	}
}

void last_stack_forget(struct last_stack *last)
{
	last->n = 0;
	for (unsigned i = 0; i < RECALL_SETS; i++)
		for (unsigned j = 0; j < RECALL_WAYS; j++)
			last->recalls[i][j].rip = 0;
}
