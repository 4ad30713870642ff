#include "stack_walk.h"

#include "code.h"

/* Frames between a hook and the hook that led to it: operator new[] -> new -> malloc. */
enum {
	MAX_SKIPPED = 8,
	MAX_FP_FRAME = 1 << 20,
};

struct walk {
	struct stack_walker *walker;
	const struct walk_context *context;
	struct stack_range range;
	struct cfi_regs regs;
	uint64_t interrupted; /* WALK_INTERRUPTED or 0 */
	bool signalled;       /* a signal frame was passed */
	bool switched;        /* the walk went on to another stack */
	uint32_t n;           /* frames in walker->inner */
	uint32_t n_skipped;   /* of them, that are hooks or called by hooks */
	uint32_t left;        /* frames of the last stack that lie further out than regs */
};

static inline struct cfi_stack view_of(const struct stack_range *range)
{
	return (struct cfi_stack){
		.start = range->lo,
		.bytes = (const uint8_t *)(uintptr_t)range->lo, // NOLINT: the stack
		.n = range->hi - range->lo,
	};
}

/* Where the caller's rbp lies, once a step by @rule led to @cfa. */
static inline uint64_t rbp_slot_of(cfi_rule rule, uint64_t rbp, uint64_t cfa)
{
	switch (cfi_rule_rbp(rule)) {
	case CFI_RBP_SAME:
		return 0;
	case CFI_RBP_AT_RBP:
		return rbp;
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
	if (fp % 8 || fp < regs->rsp || fp - regs->rsp > MAX_FP_FRAME)
		return false;
	if (fp + 16 > walk->range.hi &&
	    !stack_bounds_extend(&walk->walker->stack, &walk->range, fp + 8))
		return false;
	const uint64_t ra = last_stack_load(fp + 8);
	if (!ra || ra >> 47)
		return false;
	/* a caller in no object is JIT code, whose frames are a chain; else rbp may be anything */
	const uint64_t next = last_stack_load(fp);
	if (!code_find(ra - 1, &object) && (next % 8 || next <= fp || next >= walk->range.hi))
		return false;
	frame->rbp_slot = fp;
	walk->regs = (struct cfi_regs){.rip = ra, .rsp = fp + 16, .rbp = next};
	walk->interrupted = 0;
	return true;
}

/* After a signal frame: the registers can be those of another stack. */
static void follow_signal(struct walk *walk)
{
	const uint64_t sp = walk->regs.rsp;
	walk->signalled = true;
	walk->interrupted = WALK_INTERRUPTED;
	if (sp >= walk->range.lo && sp < walk->range.hi)
		return;
	walk->switched = true;
	stack_bounds_begin(&walk->walker->stack, sp, &walk->range);
}

/* A step that leads out of the usual course. Return: false at the end, with the reason in @frame.
 */
static bool step_unusual(struct walk *walk, struct walk_frame *frame, enum cfi_step step)
{
	switch (step) {
	case CFI_STEP_SIGNAL:
		frame->info |= WALK_SIGNAL;
		follow_signal(walk);
		return walk->regs.rip != 0;
	case CFI_STEP_END:
		stack_bounds_rooted(&walk->walker->stack, &walk->range, walk->regs.rsp);
		return false;
	case CFI_STEP_NO_CFI: {
		/* ld.so's entry point has no information */
		if (stack_bounds_is_entry(&walk->walker->stack, walk->regs.rsp))
			return false;
		const bool found = step_by_frame_pointer(walk, frame);
		frame->info |= found ? HEAP_STACK_BY_FP : HEAP_STACK_NO_CFI;
		return found;
	}
	case CFI_STEP_UNSUPPORTED:
		frame->info |= HEAP_STACK_UNSUPPORTED;
		return false;
	case CFI_STEP_NO_MEM:
	case CFI_STEP_BACKWARDS:
	default:
		frame->info |= HEAP_STACK_BAD;
		return false;
	}
}

/* What a rule needs besides rsp and the word below the caller's. */
static uint64_t unusual_info(cfi_rule rule)
{
	const enum cfi_kind kind = cfi_rule_kind(rule);
	uint64_t info = 0;
	if (kind == CFI_DEREF_RBP || kind == CFI_DEREF_RSP)
		info |= WALK_DEREF;
	if (kind != CFI_RSP && kind != CFI_PLT && kind != CFI_DEREF_RSP && kind != CFI_SIGNAL &&
	    kind != CFI_END)
		info |= WALK_USES_RBP;
	return cfi_rule_rbp(rule) == CFI_RBP_AT_RBP ? info | WALK_USES_RBP : info;
}

/*
 * Fill @frame from walk->regs, and go on to its caller. Return: false at the end of the stack, with
 * the reason in the frame's flags.
 */
static inline bool step(struct walk *walk, struct walk_frame *frame)
{
	const struct cfi_regs regs = walk->regs;
	const cfi_rule rule = rule_cache_get(walk->context->rules,
					     walk_frame_lookup(regs.rip, walk->interrupted));
	const enum cfi_kind kind = cfi_rule_kind(rule);
	frame->rip = regs.rip;
	frame->rsp = regs.rsp;
	frame->rbp = regs.rbp;
	frame->info = walk->interrupted;
	if (kind != CFI_RSP || cfi_rule_rbp(rule) == CFI_RBP_AT_RBP)
		frame->info |= unusual_info(rule);
	frame->rbp_slot = 0;
	const enum cfi_step result = step_in_range(walk, rule, &walk->regs);
	if (__builtin_expect(result != CFI_STEP_OK, 0))
		return step_unusual(walk, frame, result);
	frame->rbp_slot = rbp_slot_of(rule, regs.rbp, walk->regs.rsp);
	walk->interrupted = 0;
	return walk->regs.rip != 0;
}

/*
 * Look for the frame that walk->regs is on the remembered stack. Return: true when it and all
 * outside of it still stand: they are the first @left of the remembered ones.
 */
static inline bool meet(struct walk *walk)
{
	const struct walk_frame *last = walk->walker->last.frames;
	while (walk->left && last[walk->left - 1].rsp < walk->regs.rsp)
		walk->left--;
	if (!walk->left)
		return false;
	const struct walk_frame *frame = &last[walk->left - 1];
	if (frame->rsp != walk->regs.rsp || frame->rip != walk->regs.rip ||
	    (frame->info & WALK_INTERRUPTED) != walk->interrupted ||
	    (frame->rbp != walk->regs.rbp && (frame->info & WALK_RBP_MATTERS)))
		return false;
	const uint32_t outermost = last_stack_verify(&walk->walker->last, walk->left - 1);
	if (outermost == 0)
		return true;
	walk->left = outermost; /* up to it, frames are found to be the same by walking */
	return false;
}

/* Hooks call each other: operator new -> the library's -> malloc. The outermost is what counts. */
static inline bool is_hook(const struct walk *walk)
{
	return walk->regs.rip >= walk->context->skip_start &&
	       walk->regs.rip < walk->context->skip_end && walk->n < MAX_SKIPPED &&
	       !walk->signalled;
}

/* Return: true when the first @left frames of the last stack are the outer part of this one. */
static bool collect(struct walk *walk)
{
	struct walk_frame *inner = walk->walker->inner;
	for (;;) {
		if (walk->left && !walk->switched && meet(walk))
			return true;
		if (walk->n == HEAP_FRAMES_MAX) {
			inner[walk->n - 1].info |= HEAP_STACK_TRUNCATED;
			break;
		}
		const bool hook = is_hook(walk);
		const bool more = step(walk, &inner[walk->n++]);
		if (!more)
			break;
		if (hook)
			walk->n_skipped = walk->n;
	}
	walk->left = 0;
	return false;
}

static inline uint32_t node_of(struct walk *walk, const struct walk_frame *frame, uint32_t parent)
{
	const struct node_key key = {
		.address = walk_frame_lookup(frame->rip, frame->info),
		.parent = parent,
		.flags = (uint16_t)(frame->info & WALK_FLAGS),
	};
	const uint64_t mixed =
		(key.address ^ (uint64_t)parent << 32) * UINT64_C(0x9e3779b97f4a7c15);
	struct walk_child *child = &walk->walker->children[mixed >> 56];
	if (__builtin_expect(child->address == key.address && child->ends >> 32 == parent &&
				     (uint32_t)child->ends != NODE_NONE && key.flags == 0,
			     1))
		return (uint32_t)child->ends;
	const uint32_t node = node_table_intern(walk->context->nodes, &key);
	if (key.flags == 0 && node_is(node)) {
		child->address = key.address;
		child->ends = (uint64_t)parent << 32 | node;
	}
	return node;
}

/* Find the nodes of the inner frames and remember them on top of the first @left. */
static uint32_t intern(struct walk *walk)
{
	struct stack_walker *walker = walk->walker;
	uint32_t at = walk->left;
	uint32_t node = at ? walker->last.nodes[at - 1] : 0;
	bool remembered = !walk->switched;
	walker->last.n = 0;
	if (at && (walker->last.frames[at - 1].info & WALK_SKIPPED) && !walk->signalled)
		walk->n_skipped = walk->n;
	for (uint32_t i = walk->n; i-- > 0; at++) {
		if (i < walk->n_skipped)
			walker->inner[i].info |= WALK_SKIPPED;
		else
			node = node_of(walk, &walker->inner[i], node);
		if (!node_is(node))
			return node;
		remembered = remembered && last_stack_remember(&walker->last, walk->context->rules,
							       at, &walker->inner[i]);
		walker->last.nodes[at] = node;
	}
	/* what is not one stack, or not all of it, cannot be verified frame by frame */
	if (remembered && !(walk->n == HEAP_FRAMES_MAX && !walk->left))
		walker->last.n = at;
	return node;
}

static void forget(struct stack_walker *walker, uint32_t epoch)
{
	last_stack_forget(&walker->last);
	walker->epoch = epoch;
	for (unsigned i = 0; i < WALK_CHILDREN; i++)
		walker->children[i].ends = 0;
}

static uint32_t walk_node(struct stack_walker *walker, const struct walk_context *context,
			  const struct cfi_regs *leaf, const struct stack_range *range)
{
	struct walk walk;
	walk.walker = walker;
	walk.context = context;
	walk.range = *range;
	walk.regs = *leaf;
	walk.interrupted = 0;
	walk.signalled = false;
	walk.switched = false;
	walk.n = 0;
	walk.n_skipped = 0;
	walk.left = walker->last.n;
	if (collect(&walk) && walk.left + walk.n > HEAP_FRAMES_MAX) {
		/* too deep to remember: the leaf's side anew */
		walker->last.n = 0;
		return walk_node(walker, context, leaf, range);
	}
	const uint32_t left = walk.left;
	const uint32_t node = intern(&walk);
	walker->last.hi = walk.range.hi;
	last_stack_keep(&walker->last, leaf, left, node);
	return node;
}

uint32_t stack_walk_node(struct stack_walker *walker, const struct walk_context *context,
			 const struct cfi_regs *leaf, uint32_t epoch)
{
	struct stack_range range;
	stack_bounds_begin(&walker->stack, leaf->rsp, &range);
	if (__builtin_expect(walker->epoch != epoch, 0))
		forget(walker, epoch);
	if (__builtin_expect(walker->last.hi != range.hi, 0))
		walker->last.n = 0;
	const uint32_t node = last_stack_recall(&walker->last, leaf, range.hi);
	if (__builtin_expect(node != NODE_NONE, 1))
		return node;
	return walk_node(walker, context, leaf, &range);
}
