#include "walk.h"

#include <string.h>

enum { WORD = sizeof(uint64_t) };

static const uint64_t user_limit = UINT64_C(1) << 47;      /* four-level paging */
static const uint64_t lowest_code = UINT64_C(1) << 16;     /* vm.mmap_min_addr */
static const uint64_t frame_bytes_max = UINT64_C(1) << 23; /* the default stack limit */
static const uint64_t entry_code_bytes = 64; /* ld.so's has 61, other C libraries' fewer */
static const uint64_t argc_max = UINT64_C(1) << 20;

static uint64_t stack_end(const struct unwind_stack *stack)
{
	return stack->sp + stack->n_bytes;
}

bool walk_read(const struct unwind_stack *stack, uint64_t avma, uint64_t *out)
{
	const uint64_t off = avma - stack->sp;
	if (avma < stack->sp || off >= stack->n_bytes || stack->n_bytes - off < WORD)
		return false;
	memcpy(out, stack->bytes + off, WORD);
	return true;
}

/*
 * Above a copy that reaches the end of the stack's mapping, nothing can be missing in principle;
 * but perf copies with page faults off, so it also ends at a page that was never touched or is
 * swapped out, for instance inside a large local array.
 */
enum cp_stop walk_stop_of_fault(const struct walk *walk, uint64_t avma)
{
	if (walk->stack_swapped)
		return CP_STOP_TRUNCATED;
	if (avma < walk->stack->sp || avma >= user_limit)
		return CP_STOP_SP_BACKWARDS;
	if (walk->stack->maybe_more || avma - stack_end(walk->stack) < frame_bytes_max)
		return CP_STOP_TRUNCATED;
	return CP_STOP_SP_BACKWARDS;
}

enum cp_stop walk_stop_of_unmapped(uint64_t pc)
{
	return pc < lowest_code || pc >= user_limit ? CP_STOP_BAD_RA : CP_STOP_NO_MAP;
}

/*
 * An interrupted function may have taken its return address off the stack: glibc's vfork keeps it
 * in rdi over the system call, libgcc's unwinder jumps to the landing pad through rcx.
 */
static bool may_have_no_frame(const struct walk *walk, const struct frame *next)
{
	return walk->frame.interrupted && !next->interrupted && next->pc != walk->frame.pc;
}

bool walk_accept(struct walk *walk, const struct frame *next, enum cp_stop *stop)
{
	/* glibc before 2.26 and other C libraries mark a thread's root by a zero return address */
	if (next->pc == 0 && !next->interrupted) {
		*stop = CP_STOP_END;
		return false;
	}
	/*
	 * A caller's frame lies further out. Only a signal may have been taken on another stack:
	 * sigaltstack(2). While it is on the same one, the interrupted frame lies further out too.
	 */
	const bool outward = next->sp > walk->frame.sp ||
			     (next->sp == walk->frame.sp && may_have_no_frame(walk, next));
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
 * Where rbp is no frame pointer it rarely passes: it has to lie between here and the end of the
 * copy, and be followed by an address in code.
 */
bool walk_by_frame_pointer(const struct walk *walk, uint64_t fp, struct frame *next,
			   uint64_t *caller_fp, enum cp_stop *stop)
{
	const struct unwind_stack *stack = walk->stack;
	*stop = CP_STOP_NO_CFI;
	if (fp < walk->frame.sp || fp % WORD != 0)
		return false;
	uint64_t ra;
	if (!walk_read(stack, fp, caller_fp) || !walk_read(stack, fp + WORD, &ra)) {
		if (stack->maybe_more && fp - walk->frame.sp < frame_bytes_max)
			*stop = CP_STOP_TRUNCATED;
		return false;
	}
	if (ra == 0)
		return false;
	*next = (struct frame){.pc = ra, .sp = fp + 2 * WORD};
	return true;
}

/*
 * The first instructions of a program or of the dynamic linker run at the root of the main thread
 * and often have no unwind information (ld.so's _start). The stack is then as the kernel has left
 * it: argc, argv, NULL (psABI 3.4.1).
 */
bool walk_is_process_entry(const struct walk *walk)
{
	const struct frame *frame = &walk->frame;
	const struct mapping *mapping = address_space_find(walk->space, frame->lookup);
	if (!mapping || !mapping->image)
		return false;
	const uint64_t entry = elf_image_entry(mapping->image);
	const uint64_t svma = frame->lookup - mapping->bias;
	uint64_t argc, argv_end;
	return entry != 0 && svma >= entry && svma - entry < entry_code_bytes &&
	       walk_read(walk->stack, frame->sp, &argc) && argc <= argc_max &&
	       walk_read(walk->stack, frame->sp + (1 + argc) * WORD, &argv_end) && argv_end == 0;
}

static void reverse(uint64_t *items, size_t from, size_t to)
{
	for (; from + 1 < to; from++, to--) {
		const uint64_t item = items[from];
		items[from] = items[to - 1];
		items[to - 1] = item;
	}
}

/* Make items[from + by] the first of [from, to), and keep the order around. */
static void rotate(uint64_t *items, size_t from, size_t to, size_t by)
{
	reverse(items, from, from + by);
	reverse(items, from + by, to);
	reverse(items, from, to);
}

void walk_finish(struct unwind_result *result)
{
	const size_t leaf_side = unwind_leaf_side(result->cap);
	const size_t root_side = result->cap - leaf_side;
	if (result->n_omitted == 0)
		return;
	if (result->stop == CP_STOP_END)
		result->stop = CP_STOP_DEPTH;
	const size_t oldest = root_side ? result->n_omitted % root_side : 0;
	if (oldest == 0)
		return;
	rotate(result->pcs, leaf_side, result->cap, oldest);
	if (result->sps)
		rotate(result->sps, leaf_side, result->cap, oldest);
}
