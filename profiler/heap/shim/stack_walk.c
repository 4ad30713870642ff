#include "stack_walk.h"

#include "code.h"

/* Frames between a hook and the hook that led to it: operator new[] -> new -> malloc. */
enum { MAX_SKIPPED = 8 };

struct walk {
	struct stack_walker *walker;
	const struct walk_context *context;
	struct stack_range range;
	struct cfi_regs regs;
	bool interrupted;
	bool signalled; /* a signal frame was passed */
	bool switched;  /* the walk went on to another stack */
	uint32_t n;     /* frames in walker->inner */
	uint32_t left;  /* frames of the last stack that lie further out than regs */
};

static inline uint64_t load(uint64_t address)
{
	return *(const uint64_t *)(uintptr_t)address; // NOLINT: within the proven range
}

static inline struct cfi_stack view_of(const struct stack_range *range)
{
	return (struct cfi_stack){
		.start = range->lo,
		.bytes = (const uint8_t *)(uintptr_t)range->lo, // NOLINT: the stack
		.n = range->hi - range->lo,
	};
}

static inline uint64_t lookup_of(uint64_t rip, bool interrupted)
{
	return interrupted ? rip : rip - 1;
}

/* Where the caller's rbp lies, once a step by @rule led to @cfa. */
static inline uint64_t rbp_slot_of(cfi_rule rule, const struct cfi_regs *regs, uint64_t cfa)
{
	switch (cfi_rule_rbp(rule)) {
	case CFI_RBP_SAME:
		return 0;
	case CFI_RBP_AT_RBP:
		return regs->rbp;
	default:
		return cfa - 8 * (uint64_t)cfi_rule_rbp(rule);
	}
}

static enum cfi_step step_in_range(struct walk *walk, cfi_rule rule, struct cfi_regs *regs)
{
	for (;;) {
		const struct cfi_stack view = view_of(&walk->range);
		uint64_t missing = 0;
		const enum cfi_step step = cfi_step(rule, &view, regs, &missing);
		if (step != CFI_STEP_NO_MEM ||
		    !stack_bounds_extend(&walk->walker->stack, &walk->range, missing))
			return step;
	}
}

/* The caller by frame pointer, where there is no unwind information: JIT code, assembly. */
static bool step_by_frame_pointer(struct walk *walk, struct walk_frame *frame)
{
	const struct cfi_regs *regs = &walk->regs;
	struct code_object object;
	const uint64_t fp = regs->rbp;
	if (fp % 8 || fp < regs->rsp || fp - regs->rsp > 1 << 20)
		return false;
	if (fp + 16 > walk->range.hi &&
	    !stack_bounds_extend(&walk->walker->stack, &walk->range, fp + 8))
		return false;
	const uint64_t ra = load(fp + 8);
	/* code of no object is called by code of no object, or else the pc is in one */
	if (!ra || ra >> 47 || (!code_find(ra - 1, &object) && code_find(regs->rip - 1, &object)))
		return false;
	frame->rbp_slot = fp;
	walk->regs = (struct cfi_regs){.rip = ra, .rsp = fp + 16, .rbp = load(fp)};
	return true;
}

/* After a signal frame: the registers can be those of another stack. */
static void follow_signal(struct walk *walk)
{
	const uint64_t sp = walk->regs.rsp;
	walk->signalled = true;
	if (sp >= walk->range.lo && sp < walk->range.hi)
		return;
	walk->switched = true;
	stack_bounds_begin(&walk->walker->stack, sp, &walk->range);
}

/*
 * From @frame, which holds walk->regs, to its caller. Return: false at the end of the stack, with
 * the reason in the frame's flags.
 */
static inline bool step(struct walk *walk, struct walk_frame *frame)
{
	const uint64_t pc = lookup_of(walk->regs.rip, walk->interrupted);
	const cfi_rule rule = rule_cache_get(walk->context->rules, pc);
	struct cfi_regs next = walk->regs;
	switch (step_in_range(walk, rule, &next)) {
	case CFI_STEP_OK:
		frame->rbp_slot = rbp_slot_of(rule, &walk->regs, next.rsp);
		frame->restep = cfi_rule_kind(rule) == CFI_DEREF_RBP ||
				cfi_rule_kind(rule) == CFI_DEREF_RSP;
		walk->regs = next;
		walk->interrupted = false;
		return next.rip != 0;
	case CFI_STEP_SIGNAL:
		frame->restep = true;
		walk->regs = next;
		walk->interrupted = true;
		follow_signal(walk);
		return next.rip != 0;
	case CFI_STEP_END:
		stack_bounds_rooted(&walk->walker->stack, &walk->range, walk->regs.rsp);
		return false;
	case CFI_STEP_NO_CFI:
		if (step_by_frame_pointer(walk, frame)) {
			frame->flags = HEAP_STACK_BY_FP;
			walk->interrupted = false;
			return true;
		}
		frame->flags = HEAP_STACK_NO_CFI;
		return false;
	case CFI_STEP_UNSUPPORTED:
		frame->flags = HEAP_STACK_UNSUPPORTED;
		return false;
	case CFI_STEP_NO_MEM:
	case CFI_STEP_BACKWARDS:
	default:
		frame->flags = HEAP_STACK_BAD;
		return false;
	}
}

/* Verify a remembered frame whose caller is computed from more than two words. */
static bool verify_by_step(struct walk *walk, const struct walk_frame *frame,
			   const struct walk_frame *caller)
{
	struct cfi_regs next = frame->regs;
	const cfi_rule rule = rule_cache_get(walk->context->rules,
					     lookup_of(frame->regs.rip, frame->interrupted));
	const enum cfi_step result = step_in_range(walk, rule, &next);
	return (result == CFI_STEP_OK || result == CFI_STEP_SIGNAL) &&
	       next.rip == caller->regs.rip && next.rsp == caller->regs.rsp &&
	       next.rbp == caller->regs.rbp;
}

/*
 * Compare the remembered stack with memory, from frame @at outward. Return: the outermost frame
 * that is proven to be on the stack now; 0 = all are.
 */
static inline uint32_t verify(struct walk *walk, uint32_t at)
{
	const struct walk_frame *last = walk->walker->last;
	for (; at > 0; at--) {
		const struct walk_frame *frame = &last[at];
		const struct walk_frame *caller = &last[at - 1];
		if (__builtin_expect(frame->restep, 0)) {
			if (!verify_by_step(walk, frame, caller))
				return at;
		} else if ((load(caller->regs.rsp - 8) ^ caller->regs.rip) |
			   (load(frame->rbp_slot) ^ caller->regs.rbp)) {
			return at;
		}
	}
	return 0;
}

static bool push(struct walk *walk, const struct walk_frame *frame)
{
	if (walk->n == HEAP_FRAMES_MAX)
		return false;
	walk->walker->inner[walk->n++] = *frame;
	return true;
}

/*
 * Look for the frame that walk->regs is on the remembered stack. Return: true when it and all
 * outside of it still stand: they are the first @left of the remembered ones. Otherwise those that
 * do stand are taken over, and walk->regs is the outermost of them, not pushed yet.
 */
static inline bool meet(struct walk *walk)
{
	struct stack_walker *walker = walk->walker;
	while (walk->left && walker->last[walk->left - 1].regs.rsp < walk->regs.rsp)
		walk->left--;
	if (!walk->left)
		return false;
	const struct walk_frame *frame = &walker->last[walk->left - 1];
	if (frame->regs.rsp != walk->regs.rsp || frame->regs.rip != walk->regs.rip ||
	    frame->regs.rbp != walk->regs.rbp || frame->interrupted != walk->interrupted)
		return false;
	const uint32_t outermost = verify(walk, walk->left - 1);
	if (outermost == 0)
		return true;
	while (walk->left - 1 > outermost) {
		struct walk_frame moved = walker->last[--walk->left];
		if (moved.rbp_slot == (uint64_t)(uintptr_t)&walker->last[walk->left - 1].regs.rbp)
			moved.rbp_slot = 0;
		if (!push(walk, &moved))
			return false;
	}
	walk->left = outermost; /* its own caller is another one now */
	walk->regs = walker->last[outermost].regs;
	walk->interrupted = walker->last[outermost].interrupted;
	return false;
}

/* Hooks call each other: operator new -> the library's -> malloc. The outermost is what counts. */
static inline bool is_hook(const struct walk *walk)
{
	return walk->n < MAX_SKIPPED && !walk->signalled &&
	       walk->regs.rip >= walk->context->skip_start &&
	       walk->regs.rip < walk->context->skip_end;
}

/* Return: true when walker->last[0 .. left) is the outer part of the stack. */
static bool collect(struct walk *walk)
{
	for (;;) {
		if (walk->left && !walk->switched && meet(walk))
			return true;
		struct walk_frame frame = {
			.regs = walk->regs,
			.interrupted = walk->interrupted,
		};
		const bool hook = is_hook(walk);
		const bool more = step(walk, &frame);
		if (hook && more) {
			walk->n = 0;
			continue;
		}
		if (!push(walk, &frame)) {
			walk->walker->inner[walk->n - 1].flags |= HEAP_STACK_TRUNCATED;
			break;
		}
		if (!more)
			break;
	}
	walk->left = 0;
	return false;
}

/* Find the nodes of the inner frames and remember them on top of the first @left. */
static uint32_t intern(struct walk *walk)
{
	struct stack_walker *walker = walk->walker;
	uint32_t at = walk->left;
	uint32_t node = at ? walker->last[at - 1].node : 0;
	for (uint32_t i = walk->n; i-- > 0; at++) {
		struct walk_frame *frame = &walker->last[at];
		*frame = walker->inner[i];
		/* always true, without a branch in verify() */
		if (at && !frame->rbp_slot)
			frame->rbp_slot = (uint64_t)(uintptr_t)&walker->last[at - 1].regs.rbp;
		const struct node_key key = {
			.address = lookup_of(frame->regs.rip, frame->interrupted),
			.parent = node,
			.flags = frame->flags,
		};
		node = node_table_intern(walk->context->nodes, &key);
		if (node == NODE_NONE) {
			walker->n_last = 0;
			return NODE_NONE;
		}
		frame->node = node;
	}
	walker->n_last = at;
	return node;
}

uint32_t stack_walk_node(struct stack_walker *walker, const struct walk_context *context,
			 const struct cfi_regs *leaf, uint32_t epoch)
{
	struct walk walk = {.walker = walker, .context = context, .regs = *leaf};
	stack_bounds_begin(&walker->stack, leaf->rsp, &walk.range);
	if (walker->epoch == epoch && walker->last_hi == walk.range.hi)
		walk.left = walker->n_last;
	walker->epoch = epoch;
	walker->last_hi = walk.range.hi;
	if (collect(&walk) && walk.left + walk.n > HEAP_FRAMES_MAX) {
		/* too deep to remember: the leaf's side anew */
		walker->n_last = 0;
		return stack_walk_node(walker, context, leaf, epoch);
	}
	const uint32_t node = intern(&walk);
	/* what is not one stack, or not all of it, cannot be verified frame by frame */
	if (walk.switched || (walk.n == HEAP_FRAMES_MAX && !walk.left))
		walker->n_last = 0;
	walker->last_hi = walk.range.hi;
	return node;
}
