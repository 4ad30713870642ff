#include "sample_sink.h"

#include "base/array.h"
#include "clock.h"
#include "exec_call.h"
#include "goroutine_chain.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KERNEL_FRAMES_MAX = 1024, FRAMES_MAX = UNWIND_MAX_FRAMES + 1 + KERNEL_FRAMES_MAX };

int sample_sink_init(struct sample_sink *sink)
{
	sink->pcs = calloc(UNWIND_MAX_FRAMES, sizeof(*sink->pcs));
	sink->sps = calloc(UNWIND_MAX_FRAMES, sizeof(*sink->sps));
	sink->frames = calloc(FRAMES_MAX, sizeof(*sink->frames));
	modules_init(&sink->modules, sink->profile);
	if (!sink->pcs || !sink->sps || !sink->frames || location_cache_init(&sink->located) < 0 ||
	    stack_join_init(&sink->join, &sink->counts.joins) < 0) {
		sample_sink_deinit(sink);
		return -ENOMEM;
	}
	return 0;
}

void sample_sink_deinit(struct sample_sink *sink)
{
	stack_join_deinit(&sink->join);
	location_cache_deinit(&sink->located);
	free(sink->pcs);
	free(sink->sps);
	free(sink->frames);
	sink->pcs = NULL;
	sink->sps = NULL;
	sink->frames = NULL;
}

/* Frames of a sample while they are collected: leaf first. */
struct frame_list {
	struct sample_sink *sink;
	size_t n;
	int code;
};

static void push_frame(struct frame_list *list, module_id module, uint64_t svma)
{
	if (list->code == 0 && list->n < FRAMES_MAX) {
		list->code = profile_add_location(list->sink->profile, module, svma,
						  &list->sink->frames[list->n]);
		list->n += list->code == 0;
	}
}

static void push_kernel_pc(struct frame_list *list, uint64_t pc)
{
	module_id module;
	if (list->code == 0)
		list->code = modules_kernel(&list->sink->modules, &module);
	if (list->code == 0)
		push_frame(list, module, pc);
}

static void push_user_pc(struct frame_list *list, struct process *process, uint64_t pc)
{
	struct sample_sink *sink = list->sink;
	const uint64_t generation = address_space_generation(process->space);
	module_id module;
	uint64_t svma;
	if (list->code < 0 || list->n == FRAMES_MAX)
		return;
	if (location_cache_find(&sink->located, &process->located, generation, pc,
				&sink->frames[list->n])) {
		list->n++;
		return;
	}
	list->code = modules_locate(&sink->modules, process, pc, &module, &svma);
	if (list->code == 0)
		push_frame(list, module, svma);
	/* where no mapping is known, one may be at the next look */
	if (list->code == 0 && !modules_is_unknown(&sink->modules, module))
		location_cache_add(&sink->located, &process->located, pc,
				   sink->frames[list->n - 1]);
}

static void push_omitted(struct frame_list *list)
{
	if (list->code == 0 && list->n < FRAMES_MAX) {
		list->code = modules_omitted(&list->sink->modules, &list->sink->frames[list->n]);
		list->n += list->code == 0;
	}
}

static void push_walk(struct frame_list *list, struct process *process,
		      const struct unwind_result *result)
{
	for (size_t i = 0; i < result->n; i++) {
		if (result->n_omitted && i == unwind_leaf_side(result->cap))
			push_omitted(list);
		push_user_pc(list, process, result->pcs[i]);
	}
	list->sink->counts.user_frames += result->n + result->n_omitted;
	list->sink->counts.omitted_frames += result->n_omitted;
	list->sink->counts.fp_frames += result->n_fp_frames;
	list->sink->counts.libunwind_stacks += result->by_libunwind;
}

/* The callers on the stack that Go's runtime has left. Return: false: they are not known. */
static bool push_goroutine(struct frame_list *list, struct process *process,
			   const struct sink_sample *sample, const struct unwind_result *cut,
			   enum cp_joined *joined)
{
	uint64_t pcs[GOROUTINE_CHAIN_MAX];
	struct sample_sink *sink = list->sink;
	if (!goroutine_chain_is_cut(process->space, cut))
		return false;
	sink->wants_user_chain = true;
	const size_t n =
		goroutine_chain_callers(process->space, cut, sample->chain, sample->n_chain, pcs);
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		const bool gap = pcs[i] == GOROUTINE_CHAIN_GAP;
		if (gap)
			push_omitted(list);
		else
			push_user_pc(list, process, pcs[i]);
		sink->counts.omitted_frames += gap;
		sink->counts.fp_frames += !gap;
	}
	sink->counts.user_frames += n;
	*joined = CP_JOINED_FRAME_POINTERS;
	sink->counts.joins.joined[*joined]++;
	return true;
}

/* The kernel's part of the call chain: what stands between its context marker and the next. */
static void push_kernel_chain(struct frame_list *list, const struct sink_sample *sample)
{
	bool in_kernel = false, is_leaf = true;
	size_t n = 0;
	for (size_t i = 0; i < sample->n_chain && n < KERNEL_FRAMES_MAX; i++) {
		uint64_t pc;
		memcpy(&pc, &sample->chain[i], sizeof(pc));
		if (pc >= (uint64_t)PERF_CONTEXT_MAX) {
			in_kernel = pc == (uint64_t)PERF_CONTEXT_KERNEL;
			continue;
		}
		if (!in_kernel)
			continue;
		push_kernel_pc(list, unwind_lookup_pc(pc, !is_leaf));
		is_leaf = false;
		n++;
	}
}

/* A young program still loads its libraries: 10 ms, then longer with its age, up to a second. */
static uint64_t maps_hold_ns(const struct process *process, uint64_t now_ns)
{
	const uint64_t least_ns = CLOCK_NS_PER_S / 100, most_ns = CLOCK_NS_PER_S;
	const uint64_t part_ns = now_ns > process->born_ns ? (now_ns - process->born_ns) / 4 : 0;
	return part_ns < least_ns ? least_ns : part_ns > most_ns ? most_ns : part_ns;
}

/*
 * The mapping of a pc may have been missed (records were lost, or the process was born before its
 * events were on): look in /proc then, but not again and again for code that lies in none.
 */
static void refresh_maps(struct sample_sink *sink, struct process *process, uint64_t pc)
{
	if (!process->maps_doubtful && address_space_find(process->space, pc))
		return;
	uint64_t now_ns = clock_now_ns();
	if (now_ns < process->maps_retry_ns)
		return;
	process->maps_retry_ns = now_ns + maps_hold_ns(process, now_ns);
	processes_read_maps(sink->processes, process);
}

/*
 * From the moment an exec has thrown the old program away until it returns into the new one, the
 * task has neither stack nor code, while its registers are still those of the call.
 */
static bool is_inside_exec(struct process *process, uint64_t pc, bool in_kernel)
{
	if (process->in_exec && (!in_kernel || address_space_find(process->space, pc)))
		process->in_exec = false;
	return process->in_exec;
}

/*
 * How much of the dump the walk took. Where it has left for another stack (sigaltstack, Go's own),
 * more bytes would not have helped. Nor where the copy ended at a page that was not in memory: as
 * many as there were are wanted, so that the next copy ends there again and not before.
 */
static void count_dump(struct sample_sink *sink, const struct unwind_stack *stack,
		       const struct unwind_result *result)
{
	enum { ENTRY_BYTES = 512 }; /* what is looked at beyond the frames of a main thread */
	uint64_t used_bytes = result->n ? result->sps[result->n - 1] - stack->sp : 0;
	bool inside = used_bytes <= stack->n_bytes;
	if (inside && result->stop == CP_STOP_TRUNCATED && !stack->maybe_more &&
	    stack->n_bytes > ENTRY_BYTES)
		used_bytes = stack->n_bytes - ENTRY_BYTES;
	dump_use_add(&sink->dumps, inside ? used_bytes + ENTRY_BYTES : 0,
		     inside && result->stop == CP_STOP_TRUNCATED && stack->maybe_more &&
			     !result->left_copy);
}

static bool make_unwinder(struct sample_sink *sink, struct process *process)
{
	if (process->unwinder)
		return true;
	if (unwinder_create(process->space, &process->unwinder) < 0)
		return false;
	unwinder_set_engine(process->unwinder, sink->unwind);
	return true;
}

struct unwinder *sample_sink_unwinder(struct sample_sink *sink, struct process *process,
				      uint64_t pc)
{
	refresh_maps(sink, process, pc);
	return make_unwinder(sink, process) ? process->unwinder : NULL;
}

static enum cp_stop push_user_stack(struct frame_list *list, struct thread *thread,
				    const struct sink_sample *sample, enum cp_joined *joined)
{
	struct process *process = thread->process;
	struct sample_sink *sink = list->sink;
	const uint64_t pc = unwind_regs_pc(&sample->regs);
	if (is_inside_exec(process, pc, sample->in_kernel))
		return CP_STOP_NO_USER;
	refresh_maps(sink, process, pc);
	/* an exec that no record has told of yet */
	if (sample->in_kernel && sample->stack.n_bytes == 0 && exec_call_is_at(process->space, pc))
		return CP_STOP_NO_USER;
	if (sample->regs_kind != SINK_REGS_64) {
		push_user_pc(list, process, pc);
		return CP_STOP_UNSUPPORTED;
	}
	if (!make_unwinder(sink, process)) {
		list->code = -ENOMEM;
		return CP_STOP_UNSUPPORTED;
	}
	struct unwind_result result = {
		.pcs = sink->pcs, .sps = sink->sps, .cap = UNWIND_MAX_FRAMES};
	unwinder_walk_known(process->unwinder, &sample->regs, sample->regs_known, &sample->stack,
			    &result);
	if (cp_state_is_blocked(sample->state)) {
		/* whoever takes threads that wait has read as much as there is to read */
		push_walk(list, process, &result);
		return result.stop;
	}
	count_dump(sink, &sample->stack, &result);
	const struct stack_join_sample cut = {
		.pid = process->pid,
		.space = process->space,
		.thread_key = &thread->stack_key,
		.time_ns = sample->time_ns,
		.regs = &sample->regs,
		.stack = &sample->stack,
	};
	*joined = stack_join_look(&sink->join, process->unwinder, &cut, &result);
	push_walk(list, process, &result);
	if (result.stop == CP_STOP_TRUNCATED && result.left_copy) {
		if (push_goroutine(list, process, sample, &result, joined))
			return CP_STOP_END;
		sink->counts.left_copy++;
	}
	return result.stop;
}

static int label_of(struct sample_sink *sink, struct thread *thread, thread_id *out)
{
	struct process *process = thread->process;
	if (thread->label == 0 || thread->label_comm_version != process->comm_version) {
		struct profile_thread label = {
			/* 0 = unknown: dispatch keeps tasks that have no number */
			.pid = process->pid > 0 ? (uint32_t)process->pid : 0,
			.tid = thread->tid > 0 ? (uint32_t)thread->tid : 0,
		};
		thread_id id = {0};
		int code = profile_string(sink->profile, process->comm, &label.comm);
		if (code == 0)
			code = profile_string(sink->profile, thread->name, &label.name);
		if (code == 0)
			code = profile_add_thread(sink->profile, &label, &id);
		if (code < 0)
			return code;
		thread->label = id.v + 1;
		thread->label_comm_version = process->comm_version;
	}
	out->v = thread->label - 1;
	return 0;
}

static int64_t timeline_ns(const struct sample_sink *sink, uint64_t time_ns)
{
	if (sink->quantum_ns == 0)
		return -1;
	uint64_t offset_ns = time_ns > sink->start_ns ? time_ns - sink->start_ns : 0;
	return (int64_t)(offset_ns - offset_ns % sink->quantum_ns);
}

static void count(struct sample_sink *sink, struct thread *thread, enum cp_stop stop,
		  const struct sink_sample *sample)
{
	sink->counts.samples += (uint64_t)sample->count;
	sink->counts.stops[stop] += (uint64_t)sample->count;
	sink->counts.in_kernel += sample->in_kernel ? (uint64_t)sample->count : 0;
	if (sample->state <= CP_STATE_RUNNING)
		sink->counts.cpu_ns += (uint64_t)sample->value_ns;
	if (!thread->has_samples) {
		thread->has_samples = true;
		sink->counts.threads++;
	}
	if (!thread->process->has_samples) {
		thread->process->has_samples = true;
		sink->counts.processes++;
	}
}

/* Count a sample whose stack is @kept. */
static int store(struct sample_sink *sink, struct thread *thread, const struct sink_sample *sample,
		 const struct kept_stack *kept)
{
	struct profile_sample_key key = {
		.stop = kept->stop,
		.joined = kept->joined,
		.time_ns = timeline_ns(sink, sample->time_ns),
		.state = sample->state,
		.inferred = sample->inferred,
	};
	int code = stack_store_intern(&sink->profile->stacks, kept->frames, kept->n, &key.stack);
	if (code == 0)
		code = label_of(sink, thread, &key.thread);
	if (code == 0 && sample->waits_for)
		code = profile_string(sink->profile, sample->waits_for, &key.waits_for);
	const int64_t values[] = {sample->count, sample->value_ns};
	if (code == 0)
		code = profile_add_sample(sink->profile, &key, values);
	if (code == 0)
		count(sink, thread, key.stop, sample);
	return code;
}

/* The frames of a sample; they are in the sink's own list until the next one's. */
static int collect(struct sample_sink *sink, struct thread *thread,
		   const struct sink_sample *sample, struct kept_stack *out)
{
	if (sink->main_pid)
		modules_add_main(&sink->modules, sink->processes, sink->main_pid);
	sink->main_pid = 0;

	struct frame_list list = {.sink = sink};
	struct kept_stack found = {.frames = sink->frames, .stop = CP_STOP_NO_USER};
	push_kernel_chain(&list, sample);
	if (sample->in_kernel && sink->kernel_frames && list.n == 0)
		push_kernel_pc(&list, sample->kernel_pc);
	if (sample->regs_kind != SINK_REGS_NONE)
		found.stop = push_user_stack(&list, thread, sample, &found.joined);
	if (list.n == 0 &&
	    list.code == 0) { /* kernel work of a task without user part, not shown */
		module_id unknown;
		list.code = modules_unknown(&sink->modules, &unknown);
		push_frame(&list, unknown, 0);
	}
	found.n = list.n;
	*out = found;
	return list.code;
}

int sample_sink_add(struct sample_sink *sink, struct thread *thread,
		    const struct sink_sample *sample)
{
	struct kept_stack found;
	const int code = collect(sink, thread, sample, &found);
	return code < 0 ? code : store(sink, thread, sample, &found);
}

static int keep(const struct kept_stack *found, struct kept_stack *kept)
{
	location_id *frames =
		cp_array_reserve(kept->frames, &kept->cap, found->n + 1, sizeof(*frames));
	kept->n = 0;
	if (!frames)
		return -ENOMEM;
	memcpy(frames, found->frames, found->n * sizeof(*frames));
	*kept = (struct kept_stack){
		.frames = frames,
		.n = found->n,
		.cap = kept->cap,
		.stop = found->stop,
		.joined = found->joined,
	};
	return 0;
}

int sample_sink_keep(struct sample_sink *sink, struct thread *thread,
		     const struct sink_sample *sample, struct kept_stack *kept)
{
	struct kept_stack found;
	const int code = collect(sink, thread, sample, &found);
	kept->n = 0;
	return code < 0 ? code : keep(&found, kept);
}

int sample_sink_keep_named(struct sample_sink *sink, const char *name, enum cp_stop stop,
			   struct kept_stack *kept)
{
	location_id frame;
	const int code = modules_named(&sink->modules, name, &frame);
	const struct kept_stack found = {.frames = &frame, .n = 1, .stop = stop};
	kept->n = 0;
	return code < 0 ? code : keep(&found, kept);
}

int sample_sink_add_kept(struct sample_sink *sink, struct thread *thread,
			 const struct sink_sample *sample, const struct kept_stack *kept)
{
	return store(sink, thread, sample, kept);
}
