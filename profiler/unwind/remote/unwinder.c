/*
 * The walk: which frame comes next, and why it ends. How a frame is left is the stepper's matter
 * where there is unwind information; where there is none, the frame pointer is followed if it
 * behaves like one, and the step is counted.
 */
#include "unwind/unwind.h"

#include "stepper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = sizeof(uint64_t) };

static const uint64_t user_limit = UINT64_C(1) << 47;      /* four-level paging */
static const uint64_t lowest_code = UINT64_C(1) << 16;     /* vm.mmap_min_addr */
static const uint64_t frame_bytes_max = UINT64_C(1) << 23; /* the default stack limit */
static const uint64_t entry_code_bytes = 64; /* ld.so's has 61, other C libraries' fewer */
static const uint64_t argc_max = UINT64_C(1) << 20;
static const uint32_t all_regs = (UINT32_C(1) << UNWIND_REGS_MAX) - 1;

struct unwinder {
	struct address_space *space; /* borrowed */
	struct stepper *stepper;
};

/* A frame of the walk: the state in which its code was left. */
struct frame {
	uint64_t pc, sp;
	uint64_t lookup;  /* avma inside the instruction that was executing */
	bool interrupted; /* by a signal: its stack can be another one */
};

struct walk {
	struct address_space *space;
	struct stepper *stepper;
	const struct unwind_stack *stack;
	struct frame frame;
	bool stack_swapped; /* the frames are on a stack of which there is no copy */
};

int unwinder_create(struct address_space *space, struct unwinder **out)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
	if (!unwinder)
		return -ENOMEM;
	unwinder->space = space;
	const int ret = stepper_create(space, &unwinder->stepper);
	if (ret) {
		free(unwinder);
		return ret;
	}
	*out = unwinder;
	return 0;
}

void unwinder_destroy(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	stepper_destroy(unwinder->stepper);
	free(unwinder);
}

static uint64_t stack_end(const struct unwind_stack *stack)
{
	return stack->sp + stack->n_bytes;
}

static bool read_stack(const struct unwind_stack *stack, uint64_t avma, uint64_t *out)
{
	const uint64_t off = avma - stack->sp;
	if (avma < stack->sp || off >= stack->n_bytes || stack->n_bytes - off < WORD)
		return false;
	memcpy(out, stack->bytes + off, WORD);
	return true;
}

/*
 * Why memory that a rule needs is not in the copy. Above a copy that reaches the end of the stack's
 * mapping, nothing can be missing in principle; but perf copies with page faults off, so it also
 * ends at a page that was never touched or is swapped out, for instance inside a large local array.
 */
static enum cp_stop stop_of_fault(const struct walk *walk, uint64_t avma)
{
	if (walk->stack_swapped)
		return CP_STOP_TRUNCATED;
	if (avma < walk->stack->sp || avma >= user_limit)
		return CP_STOP_SP_BACKWARDS;
	if (walk->stack->maybe_more || avma - stack_end(walk->stack) < frame_bytes_max)
		return CP_STOP_TRUNCATED;
	return CP_STOP_SP_BACKWARDS;
}

static enum cp_stop stop_of_unmapped(uint64_t pc)
{
	return pc < lowest_code || pc >= user_limit ? CP_STOP_BAD_RA : CP_STOP_NO_MAP;
}

/* A step by unwind information. Return: true when @next is the caller; else @stop is set. */
static bool step_by_rule(struct walk *walk, const struct step_rule *rule, struct frame *next,
			 enum cp_stop *stop)
{
	uint64_t fault;
	switch (stepper_apply(walk->stepper, walk->frame.lookup, rule, &next->pc, &next->sp,
			      &fault)) {
	case STEP_CALLER:
		break;
	case STEP_ROOT:
		*stop = CP_STOP_END;
		return false;
	case STEP_UNREADABLE:
		*stop = stop_of_fault(walk, fault);
		return false;
	case STEP_STUCK:
		*stop = CP_STOP_SP_BACKWARDS;
		return false;
	default:
		*stop = CP_STOP_UNSUPPORTED;
		return false;
	}
	next->interrupted = rule->signal_frame;
	/* glibc before 2.26 and other C libraries mark a thread's root by a zero return address */
	if (next->pc == 0 && !next->interrupted) {
		*stop = CP_STOP_END;
		return false;
	}
	/*
	 * A caller's frame lies further out. Only a signal may have been taken on another stack:
	 * sigaltstack(2). While it is on the same one, the interrupted frame lies further out too.
	 */
	const bool outward = next->sp > walk->frame.sp;
	const bool in_copy = next->sp >= walk->stack->sp && next->sp <= stack_end(walk->stack);
	if (!outward && (!next->interrupted || in_copy)) {
		*stop = CP_STOP_SP_BACKWARDS;
		return false;
	}
	if (next->interrupted && !in_copy)
		walk->stack_swapped = true;
	return true;
}

/*
 * A step by frame pointer, for code without unwind information (JIT, hand-written assembly). Where
 * rbp is no frame pointer it rarely passes: it has to lie between here and the end of the copy, and
 * be followed by an address in code.
 */
static bool step_by_frame_pointer(struct walk *walk, struct frame *next, enum cp_stop *stop)
{
	struct unwind_regs regs;
	const struct unwind_stack *stack = walk->stack;
	const uint32_t known = stepper_regs(walk->stepper, &regs);
	const uint64_t fp = unwind_regs_fp(&regs);
	*stop = CP_STOP_NO_CFI;
	if (!(known & unwind_regs_fp_bit()) || fp < walk->frame.sp || fp % WORD != 0)
		return false;
	uint64_t caller_fp, ra;
	if (!read_stack(stack, fp, &caller_fp) || !read_stack(stack, fp + WORD, &ra)) {
		if (stack->maybe_more && fp - walk->frame.sp < frame_bytes_max)
			*stop = CP_STOP_TRUNCATED;
		return false;
	}
	if (ra == 0 || stepper_find(walk->stepper, ra - 1).kind == RULE_NO_MAP)
		return false;
	*next = (struct frame){.pc = ra, .sp = fp + 2 * WORD};
	unwind_regs_set_pc(&regs, next->pc);
	unwind_regs_set_sp(&regs, next->sp);
	unwind_regs_set_fp(&regs, caller_fp);
	stepper_start(walk->stepper, &regs, known, stack);
	return true;
}

/*
 * True in the first instructions of a program or of the dynamic linker, which run at the root of
 * the main thread and often have no unwind information (ld.so's _start). The stack is then as the
 * kernel has left it: argc, argv, NULL (psABI 3.4.1).
 */
static bool is_process_entry(const struct walk *walk)
{
	const struct frame *frame = &walk->frame;
	const struct mapping *mapping = address_space_find(walk->space, frame->lookup);
	if (!mapping || !mapping->image)
		return false;
	const uint64_t entry = elf_image_entry(mapping->image);
	const uint64_t svma = frame->lookup - mapping->bias;
	uint64_t argc, argv_end;
	return entry != 0 && svma >= entry && svma - entry < entry_code_bytes &&
	       read_stack(walk->stack, frame->sp, &argc) && argc <= argc_max &&
	       read_stack(walk->stack, frame->sp + (1 + argc) * WORD, &argv_end) && argv_end == 0;
}

static enum cp_stop walk_out(struct walk *walk, struct unwind_result *result, size_t cap)
{
	struct step_rule rule = stepper_find(walk->stepper, walk->frame.lookup);
	for (;;) {
		struct frame next;
		enum cp_stop stop = CP_STOP_UNSUPPORTED;
		bool by_frame_pointer = false;
		switch (rule.kind) {
		case RULE_CFI:
			if (!step_by_rule(walk, &rule, &next, &stop))
				return stop;
			break;
		case RULE_NO_CFI:
			if (is_process_entry(walk))
				return CP_STOP_END;
			if (!step_by_frame_pointer(walk, &next, &stop))
				return stop;
			by_frame_pointer = true;
			break;
		case RULE_NO_MAP:
			return stop_of_unmapped(walk->frame.pc);
		default:
			return CP_STOP_UNSUPPORTED;
		}
		next.lookup = unwind_lookup_pc(next.pc, !next.interrupted);
		rule = stepper_find(walk->stepper, next.lookup);
		if (rule.kind == RULE_NO_MAP)
			return stop_of_unmapped(next.pc);
		if (result->n >= cap)
			return CP_STOP_DEPTH;
		result->pcs[result->n++] = next.lookup;
		result->n_fp_frames += by_frame_pointer;
		walk->frame = next;
	}
}

void unwinder_walk(struct unwinder *unwinder, const struct unwind_regs *regs,
		   const struct unwind_stack *stack, struct unwind_result *result)
{
	const size_t cap = result->cap < UNWIND_MAX_FRAMES ? result->cap : UNWIND_MAX_FRAMES;
	result->n = 0;
	result->n_fp_frames = 0;
	result->stop = CP_STOP_DEPTH;
	if (cap == 0)
		return;
	const uint64_t pc = unwind_regs_pc(regs);
	struct walk walk = {
		.space = unwinder->space,
		.stepper = unwinder->stepper,
		.stack = stack,
		.frame = {.pc = pc, .sp = unwind_regs_sp(regs), .lookup = pc},
	};
	result->pcs[result->n++] = unwind_lookup_pc(pc, false);
	stepper_sync(walk.stepper);
	stepper_start(walk.stepper, regs, all_regs, stack);
	result->stop = walk_out(&walk, result, cap);
}
