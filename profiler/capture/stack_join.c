#include "stack_join.h"

#include "clock.h"
#include "unwind/callee.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* of memory beyond the root's frame, for what its rule may read there */
	ROOT_SLACK_BYTES = 4096,
	/* where the root is not known: one stack's bytes are asked for up to the same address */
	STEP_BYTES = 64 << 10,
};

int stack_join_init(struct stack_join *join, struct stack_join_counts *counts)
{
	*join = (struct stack_join){.counts = counts, .cpu_left_ns = STACK_JOIN_CPU_BURST_NS};
	join->pcs = calloc(STACK_JOIN_MAX_FRAMES, sizeof(*join->pcs));
	join->sps = calloc(STACK_JOIN_MAX_FRAMES, sizeof(*join->sps));
	if (!join->pcs || !join->sps || stack_histories_init(&join->histories) < 0) {
		stack_join_deinit(join);
		return -ENOMEM;
	}
	return 0;
}

void stack_join_deinit(struct stack_join *join)
{
	free(join->pcs);
	free(join->sps);
	stack_histories_deinit(&join->histories);
	stack_memory_deinit(&join->memory);
	join->pcs = join->sps = NULL;
}

static bool reached_root(const struct unwind_result *result)
{
	return result->stop == CP_STOP_END || result->stop == CP_STOP_DEPTH;
}

static enum stack_join_failure failure_of(enum stack_memory_status status)
{
	switch (status) {
	case STACK_MEMORY_GONE:
		return STACK_JOIN_GONE;
	case STACK_MEMORY_REFUSED:
		return STACK_JOIN_REFUSED;
	default:
		return STACK_JOIN_CHANGED;
	}
}

/*
 * Up to where to read a stack from @avma on: to its root, if that is known, else a little, and then
 * four times as much.
 *
 * @until: the last one; 0 = none yet
 * Return: @until when there is no further one.
 */
static uint64_t next_until(uint64_t avma, uint64_t root_sp, uint64_t until)
{
	const uint64_t most = (avma + STACK_MEMORY_MAX_BYTES) / STEP_BYTES * STEP_BYTES;
	uint64_t next = (avma + 2 * STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
	if (until)
		next = (until + 3 * (until - avma) + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
	else if (root_sp > avma)
		next = root_sp + ROOT_SLACK_BYTES;
	return next < most ? next : most;
}

/* Why a walk through memory that was read up to @until has not reached the root. */
static enum stack_join_failure failure_of_walk(const struct stack_memory *memory,
					       const struct unwind_result *result)
{
	const enum cp_stop stop = result->stop;
	if (result->left_copy)
		return STACK_JOIN_NO_ROOT;
	/* bytes that are not there are no address of code, nor one outward */
	if (memory->has_absent &&
	    (stop == CP_STOP_TRUNCATED || stop == CP_STOP_BAD_RA || stop == CP_STOP_SP_BACKWARDS))
		return STACK_JOIN_NOT_PRESENT;
	return stop == CP_STOP_TRUNCATED ? STACK_JOIN_TOO_DEEP : STACK_JOIN_NO_ROOT;
}

/* The kept stack's return addresses are in memory where they were. */
static bool is_found_again(const struct stack_join *join, const struct stack_history *history,
			   uint64_t sample_ns)
{
	size_t n;
	const struct stack_link *links = stack_history_outer(history, sample_ns, &n);
	if (!links)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t ra;
		/* psABI 3.2.2: the call has pushed it below the caller's stack pointer */
		if (!stack_memory_word(&join->memory, links[i].sp - sizeof(ra), &ra) ||
		    unwind_lookup_pc(ra, true) != links[i].pc)
			return false;
	}
	return true;
}

static bool read_word(void *ctx, uint64_t avma, uint64_t *out)
{
	const pid_t *pid = ctx;
	return stack_memory_peek(*pid, avma, out);
}

/* The first caller that is of memory has called the frame that is of the copy. */
static bool fits_at_the_seam(const struct stack_join_sample *sample,
			     const struct unwind_result *cut, const struct unwind_result *whole)
{
	pid_t pid = sample->pid;
	if (cut->n == 0 || cut->n_omitted || whole->n_omitted || whole->n <= cut->n)
		return true;
	return callee_fits(sample->space, whole->pcs[cut->n - 1], whole->pcs[cut->n], read_word,
			   &pid);
}

enum look { LOOK_FAILED, LOOK_FOUND_AGAIN, LOOK_WALKED };

/* Walk anew through the copy and what was read above it, unless the kept stack is found again. */
static enum look look_at_memory(struct stack_join *join, struct unwinder *unwinder,
				const struct stack_join_sample *sample,
				const struct unwind_result *cut,
				const struct stack_history *history, struct unwind_result *whole,
				enum stack_join_failure *failure)
{
	const size_t overlap = stack_memory_overlap(cut, sample->stack);
	const uint64_t end = sample->stack->sp + sample->stack->n_bytes;
	const uint64_t root_sp = history->n ? history->links[history->n - 1].sp : 0;
	uint64_t until = next_until(end, root_sp, 0);
	for (;;) {
		struct unwind_stack stack;
		const enum stack_memory_status status = stack_memory_look(
			&join->memory, sample->pid, sample->time_ns, sample->stack, overlap, until);
		if (status != STACK_MEMORY_SAME) {
			*failure = failure_of(status);
			return LOOK_FAILED;
		}
		if (is_found_again(join, history, sample->time_ns))
			return LOOK_FOUND_AGAIN;
		stack_memory_extend(&join->memory, sample->pid, sample->time_ns, sample->stack,
				    overlap, until, &stack);
		*whole = (struct unwind_result){
			.pcs = join->pcs, .sps = join->sps, .cap = STACK_JOIN_MAX_FRAMES};
		unwinder_walk(unwinder, sample->regs, &stack, whole);
		if (reached_root(whole)) {
			*failure = STACK_JOIN_CHANGED;
			return fits_at_the_seam(sample, cut, whole) ? LOOK_WALKED : LOOK_FAILED;
		}
		*failure = failure_of_walk(&join->memory, whole);
		const uint64_t next = next_until(end, 0, until);
		if (whole->stop != CP_STOP_TRUNCATED || next == until)
			return LOOK_FAILED;
		until = next;
	}
}

/* As many frames as @to has room for, of both sides. */
static void take_over(struct unwind_result *to, const struct unwind_result *from)
{
	const bool fits = from->n <= to->cap;
	const size_t n = fits ? from->n : to->cap;
	const size_t leaf_side = fits ? n : unwind_leaf_side(to->cap);
	const size_t root_side = n - leaf_side, root = from->n - root_side;
	memcpy(to->pcs, from->pcs, leaf_side * sizeof(*to->pcs));
	memcpy(to->sps, from->sps, leaf_side * sizeof(*to->sps));
	memcpy(to->pcs + leaf_side, from->pcs + root, root_side * sizeof(*to->pcs));
	memcpy(to->sps + leaf_side, from->sps + root, root_side * sizeof(*to->sps));
	to->n = n;
	to->n_omitted = from->n_omitted + from->n - n;
	to->left_copy = false;
	to->n_fp_frames = from->n_fp_frames;
	to->by_libunwind = from->by_libunwind;
	to->stop = to->n_omitted ? CP_STOP_DEPTH : from->stop;
}

static enum cp_joined complete(struct stack_join *join, struct unwinder *unwinder,
			       const struct stack_join_sample *sample, struct unwind_result *result,
			       enum stack_join_failure *failure)
{
	struct stack_history *history = stack_histories_get(&join->histories, sample->thread_key);
	const uint64_t end = sample->stack->sp + sample->stack->n_bytes;
	enum look look = LOOK_FAILED;
	struct unwind_result whole;
	stack_history_cut(history, result);
	*failure = STACK_JOIN_NOT_PRESENT;
	if (sample->stack->n_bytes == 0)
		return CP_JOINED_NO;
	*failure = STACK_JOIN_TOO_DEEP;
	if (stack_history_is_too_deep(history, end, sample->time_ns))
		return CP_JOINED_NO;
	*failure = STACK_JOIN_TOO_COSTLY;
	if (join->cpu_left_ns > 0)
		look = look_at_memory(join, unwinder, sample, result, history, &whole, failure);
	if (look == LOOK_FAILED) {
		if (*failure == STACK_JOIN_TOO_DEEP)
			stack_history_too_deep(history, end, join->memory.read_ns);
		return stack_history_join(history, result, sample->time_ns) ? CP_JOINED_CALLCHAIN
									    : CP_JOINED_NO;
	}
	history->deep_hold_ns = 0;
	*failure = STACK_JOIN_UNSETTLED;
	if (look == LOOK_FOUND_AGAIN)
		stack_history_confirm(history, sample->time_ns, join->memory.read_ns);
	else if (stack_history_see(history, &whole, sample->time_ns, join->memory.read_ns) !=
		 STACK_AGREES)
		return CP_JOINED_NO;
	if (!stack_history_is_settled(history))
		return CP_JOINED_NO;
	if (look == LOOK_FOUND_AGAIN)
		stack_history_append(history, result);
	else
		take_over(result, &whole);
	return CP_JOINED_MEMORY;
}

/* The signal's frame on the copy, when the walk has left it by that. */
static bool find_signal_frame(const struct stack_join_sample *sample,
			      const struct unwind_result *cut, struct unwind_stack *frame,
			      struct unwind_regs *regs)
{
	const struct unwind_stack *stack = sample->stack;
	if (!cut->left_copy || cut->n < 2 || cut->n_omitted)
		return false;
	frame->sp = cut->sps[cut->n - 2];
	const uint64_t off = frame->sp - stack->sp;
	if (frame->sp < stack->sp || off > stack->n_bytes)
		return false;
	frame->bytes = stack->bytes + off;
	frame->n_bytes =
		unwind_regs_from_signal(regs, frame->sp, frame->bytes, stack->n_bytes - off);
	return frame->n_bytes != 0 && unwind_regs_sp(regs) == cut->sps[cut->n - 1] &&
	       unwind_regs_pc(regs) == cut->pcs[cut->n - 1];
}

/* Walk what a signal has interrupted. Return: true when that reaches the root. */
static bool walk_other(struct stack_join *join, struct unwinder *unwinder, pid_t pid,
		       const struct unwind_stack *frame, const struct unwind_regs *regs,
		       uint64_t root_sp, struct unwind_result *outer,
		       enum stack_join_failure *failure)
{
	const uint64_t sp = unwind_regs_sp(regs);
	const struct unwind_result empty = *outer;
	uint64_t until = next_until(sp, root_sp, 0);
	for (;;) {
		struct unwind_stack other;
		const enum stack_memory_status status =
			stack_memory_other(&join->memory, pid, sp, until, frame, &other);
		if (status != STACK_MEMORY_SAME) {
			*failure = failure_of(status);
			return false;
		}
		*outer = empty;
		unwinder_walk(unwinder, regs, &other, outer);
		if (outer->stop == CP_STOP_END)
			return true;
		*failure = failure_of_walk(&join->memory, outer);
		const uint64_t next = next_until(sp, 0, until);
		if (outer->stop != CP_STOP_TRUNCATED || next == until)
			return false;
		until = next;
	}
}

/*
 * The handler of a signal runs on another stack than what it has interrupted (sigaltstack(2)).
 * What is outward of the interrupted frame has to be what it was before, as above. The other part
 * is not asked for that: where two stacks meet, stack pointers are in no order.
 */
static enum cp_joined cross(struct stack_join *join, struct unwinder *unwinder,
			    const struct stack_join_sample *sample, struct unwind_result *result,
			    const struct unwind_stack *frame, const struct unwind_regs *regs,
			    enum stack_join_failure *failure)
{
	struct stack_history *history = stack_histories_get(&join->histories, sample->thread_key);
	const uint64_t root_sp = history->n ? history->links[history->n - 1].sp : 0;
	const size_t n_inner = result->n - 1;
	*failure = STACK_JOIN_TOO_COSTLY;
	if (join->cpu_left_ns <= 0)
		return CP_JOINED_NO;
	struct unwind_result outer = {.pcs = join->pcs + n_inner,
				      .sps = join->sps + n_inner,
				      .cap = STACK_JOIN_MAX_FRAMES - n_inner};
	if (!walk_other(join, unwinder, sample->pid, frame, regs, root_sp, &outer, failure))
		return CP_JOINED_NO;
	*failure = STACK_JOIN_UNSETTLED;
	stack_history_cut(history, result);
	if (stack_history_see(history, &outer, sample->time_ns, join->memory.read_ns) !=
		    STACK_AGREES ||
	    !stack_history_is_settled(history))
		return CP_JOINED_NO;
	memcpy(join->pcs, result->pcs, n_inner * sizeof(*join->pcs));
	memcpy(join->sps, result->sps, n_inner * sizeof(*join->sps));
	const struct unwind_result whole = {.pcs = join->pcs,
					    .sps = join->sps,
					    .n = n_inner + outer.n,
					    .stop = CP_STOP_END,
					    .n_fp_frames = result->n_fp_frames + outer.n_fp_frames,
					    .by_libunwind =
						    result->by_libunwind || outer.by_libunwind};
	take_over(result, &whole);
	return CP_JOINED_MEMORY;
}

/* What looks may take now. */
static void refill(struct stack_join *join)
{
	const uint64_t now_ns = clock_now_ns();
	const uint64_t waited_ns = now_ns - join->refilled_ns;
	if (waited_ns > CLOCK_NS_PER_S * 2)
		join->cpu_left_ns = STACK_JOIN_CPU_BURST_NS;
	else
		join->cpu_left_ns += (int64_t)(waited_ns / STACK_JOIN_CPU_SHARE);
	if (join->cpu_left_ns > STACK_JOIN_CPU_BURST_NS)
		join->cpu_left_ns = STACK_JOIN_CPU_BURST_NS;
	join->refilled_ns = now_ns;
}

enum cp_joined stack_join_look(struct stack_join *join, struct unwinder *unwinder,
			       const struct stack_join_sample *sample, struct unwind_result *result)
{
	if (result->n == 0)
		return CP_JOINED_NO;
	if (reached_root(result)) {
		struct stack_history *history =
			stack_histories_find(&join->histories, *sample->thread_key);
		if (history)
			stack_history_see(history, result, sample->time_ns, sample->time_ns);
		return CP_JOINED_NO;
	}
	struct unwind_stack frame;
	struct unwind_regs interrupted;
	const bool by_signal = find_signal_frame(sample, result, &frame, &interrupted);
	if (result->stop != CP_STOP_TRUNCATED || (!by_signal && result->left_copy))
		return CP_JOINED_NO;
	enum stack_join_failure failure = STACK_JOIN_CHANGED;
	refill(join);
	const uint64_t start_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	const enum cp_joined joined =
		by_signal ? cross(join, unwinder, sample, result, &frame, &interrupted, &failure)
			  : complete(join, unwinder, sample, result, &failure);
	join->cpu_left_ns -= (int64_t)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns);
	if (joined == CP_JOINED_NO)
		join->counts->failed[failure]++;
	else
		join->counts->joined[joined]++;
	return joined;
}

const char *stack_join_failure_name(enum stack_join_failure failure)
{
	static const char *const names[STACK_JOIN_FAILURES] = {
		[STACK_JOIN_CHANGED] = "changed",     [STACK_JOIN_GONE] = "gone",
		[STACK_JOIN_REFUSED] = "refused",     [STACK_JOIN_NO_ROOT] = "no_root",
		[STACK_JOIN_UNSETTLED] = "unsettled", [STACK_JOIN_NOT_PRESENT] = "not_present",
		[STACK_JOIN_TOO_DEEP] = "too_deep",   [STACK_JOIN_TOO_COSTLY] = "too_costly",
	};
	assert((unsigned)failure < STACK_JOIN_FAILURES);
	return names[failure];
}
