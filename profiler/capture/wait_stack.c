#include "wait_stack.h"

#include "processes.h"
#include "wait_info.h"

#include <errno.h>
#include <stdlib.h>

int wait_stack_init(struct wait_stack *stack)
{
	stack->pcs = calloc(UNWIND_MAX_FRAMES, sizeof(*stack->pcs));
	stack->sps = calloc(UNWIND_MAX_FRAMES, sizeof(*stack->sps));
	if (stack->pcs && stack->sps)
		return 0;
	wait_stack_deinit(stack);
	return -ENOMEM;
}

void wait_stack_deinit(struct wait_stack *stack)
{
	thread_look_deinit(&stack->look);
	fp_search_deinit(&stack->search);
	free(stack->pcs);
	free(stack->sps);
	stack->pcs = stack->sps = NULL;
}

static void walk(struct wait_stack *s, struct unwinder *unwinder, const struct thread_copy *copy,
		 struct unwind_result *result)
{
	*result = (struct unwind_result){.pcs = s->pcs, .sps = s->sps, .cap = UNWIND_MAX_FRAMES};
	unwinder_walk_known(unwinder, &copy->regs, copy->regs_known, &copy->stack, result);
}

/* With the frame pointer that the thread had here before. Return: false: it leads nowhere. */
static bool use_place(struct wait_stack *s, struct unwinder *unwinder,
		      const struct wait_place *place, struct thread_copy *copy,
		      enum cp_inferred *inferred)
{
	struct unwind_result result;
	struct thread_copy with = *copy;
	with.regs_known |= unwind_regs_fp_bit();
	unwind_regs_set_fp(&with.regs, place->fp);
	walk(s, unwinder, &with, &result);
	if (!cp_stop_has_root(result.stop))
		return false;
	s->counts.fp_remembered += place->inferred == CP_INFERRED_NO;
	s->counts.fp_searched += place->inferred != CP_INFERRED_NO;
	*inferred = place->inferred;
	*copy = with;
	return true;
}

/* @copy: given its frame pointer. Return: false: the search has not found it. */
static bool search(struct wait_stack *s, struct unwinder *unwinder,
		   const struct wait_stack_thread *of, const struct unwind_result *cut,
		   struct thread_copy *copy, enum cp_inferred *inferred)
{
	const struct fp_search_thread thread = {of->thread->process->space, unwinder, &copy->regs,
						copy->regs_known, &copy->stack};
	uint64_t fp;
	if (!fp_search_run(&s->search, &thread, cut, &fp))
		return false;
	s->counts.fp_searched++;
	copy->regs_known |= unwind_regs_fp_bit();
	unwind_regs_set_fp(&copy->regs, fp);
	*inferred = CP_INFERRED_FRAMES;
	wait_places_add(of->places, &copy->regs, &copy->stack, *inferred);
	return true;
}

/*
 * Ask the thread itself. Not where that would end its wait, and not again where it did not help.
 *
 * Return: true: @copy has its frame pointer.
 */
static bool stop_and_ask(struct wait_stack *s, const struct wait_stack_thread *of,
			 struct thread_copy *copy)
{
	struct wait_places *places = of->places;
	const uint64_t sp = unwind_regs_sp(&copy->regs), pc = unwind_regs_pc(&copy->regs);
	struct thread_copy stopped;
	if (!s->stopper || !copy->in_syscall || !wait_is_restarted(copy->syscall_nr) ||
	    (places->stopped_sp == sp && places->stopped_pc == pc))
		return false;
	places->stopped_sp = sp;
	places->stopped_pc = pc;
	const size_t n_bytes =
		*of->n_bytes < THREAD_STOP_MAX_BYTES ? *of->n_bytes : THREAD_STOP_MAX_BYTES;
	if (thread_stop_take(s->stopper, of->thread->process->pid, of->thread->tid, n_bytes,
			     &stopped) != THREAD_STOP_TAKEN ||
	    unwind_regs_sp(&stopped.regs) != sp || unwind_regs_pc(&stopped.regs) != pc)
		return false;
	s->counts.fp_stopped++;
	wait_places_add(places, &stopped.regs, &stopped.stack, CP_INFERRED_NO);
	copy->regs_known |= unwind_regs_fp_bit();
	unwind_regs_set_fp(&copy->regs, unwind_regs_fp(&stopped.regs));
	return true;
}

/* Return: true when the walk through the copy would get further with more bytes of the stack. */
static bool wants_more(struct wait_stack *s, struct unwinder *unwinder,
		       const struct wait_stack_thread *of, struct thread_copy *copy,
		       enum cp_inferred *inferred)
{
	struct unwind_result result;
	const bool more = copy->stack.maybe_more && *of->n_bytes < THREAD_LOOK_MAX_BYTES;
	const struct wait_place *place = wait_places_find(of->places, copy);
	*inferred = CP_INFERRED_NO;
	walk(s, unwinder, copy, &result);
	if (!result.needs_fp)
		return result.stop == CP_STOP_TRUNCATED && !result.left_copy && more;
	if (place && use_place(s, unwinder, place, copy, inferred))
		return false;
	if (place) /* its walk has overwritten the frames */
		walk(s, unwinder, copy, &result);
	if (search(s, unwinder, of, &result, copy, inferred))
		return false;
	if (more)
		return true;
	s->counts.fp_unknown += !stop_and_ask(s, of, copy);
	return false;
}

static void grow(size_t *n_bytes)
{
	*n_bytes *= 4;
	if (*n_bytes > THREAD_LOOK_MAX_BYTES)
		*n_bytes = THREAD_LOOK_MAX_BYTES;
}

enum thread_look_status wait_stack_take(struct wait_stack *stack,
					const struct wait_stack_thread *of,
					struct thread_copy *copy, struct thread_sched *sched,
					enum cp_inferred *inferred)
{
	const struct thread_look_target unopened =
		thread_look_target_of(of->thread->process->pid, of->thread->tid);
	const struct thread_look_target *target = of->target ? of->target : &unopened;
	if (*of->n_bytes == 0)
		*of->n_bytes = THREAD_LOOK_MIN_BYTES;
	enum thread_look_status status =
		thread_look_at_target(&stack->look, target, *of->n_bytes, of->slices, copy, sched);
	while (status == THREAD_LOOK_TAKEN) {
		struct unwinder *unwinder = sample_sink_unwinder(stack->sink, of->thread->process,
								 unwind_regs_pc(&copy->regs));
		if (!unwinder || !wants_more(stack, unwinder, of, copy, inferred))
			break;
		grow(of->n_bytes);
		status = thread_look_at_target(&stack->look, target, *of->n_bytes, 0, copy, sched);
	}
	return status;
}
