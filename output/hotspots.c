#include "hotspots.h"

#include "base/array.h"
#include "process_rows.h"
#include "selection.h"
#include "stack_sums.h"
#include "wait_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What makes two frames the same row; fields that the report does not tell apart are 0. */
struct row_key {
	string_id name, file, module;
	uint32_t line;
};

struct builder {
	const struct profile *profile;
	struct hotspots *to;
	enum report_by by;
	struct selection selection;
	struct stack_sums sums;
	struct row_key *keys; /* by row */
	size_t cap_keys, cap_rows;
	struct cp_index index;        /* over @keys */
	uint32_t *row_of_frame;       /* by frame */
	struct amount *self_of_frame; /* by frame */
	uint32_t *on_path;            /* by row: occurrences between the root and the visit */
};

static bool key_equal(const void *key, const void *owner, uint32_t id)
{
	const struct row_key *a = key;
	const struct row_key *b = &((const struct builder *)owner)->keys[id];
	return a->name.v == b->name.v && a->file.v == b->file.v && a->module.v == b->module.v &&
	       a->line == b->line;
}

static struct row_key key_of_frame(const struct builder *builder, const struct frame *frame)
{
	struct row_key key = {0};
	switch (builder->by) {
	case REPORT_BY_LINE:
		key.line = frame->line;
		/* fall through */
	case REPORT_BY_FUNCTION:
		key.name = frame->name;
		key.file = frame->file;
		key.module = frame->module;
		break;
	case REPORT_BY_FILE:
		/* a header's lines are one row whatever binary they are in; code of unknown
		 * source is told apart by binary */
		key.file = frame->file;
		if (frame->file.v == STRING_EMPTY.v)
			key.module = frame->module;
		break;
	case REPORT_BY_MODULE:
	case REPORT_BY_THREAD:
	case REPORT_BY_PROCESS:
	case REPORT_BY_STATE:
	case REPORT_BY_LOCK:
		key.module = frame->module;
		break;
	}
	return key;
}

static int add_row(struct builder *builder, const struct row_key *key, const struct frame *frame,
		   uint32_t *out)
{
	uint64_t hash = cp_hash_mix(cp_hash_mix(key->name.v, key->file.v),
				    (uint64_t)key->module.v << 32 | key->line);
	uint32_t known = cp_index_find(&builder->index, hash, key_equal, key, builder);
	if (known != CP_INDEX_NONE) {
		*out = known;
		return 0;
	}
	struct hotspots *to = builder->to;
	struct row_key *keys =
		cp_array_reserve(builder->keys, &builder->cap_keys, to->n + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	builder->keys = keys;
	keys[to->n] = *key;
	struct hotspot *row = CP_ARRAY_PUSH(to->rows, to->n, builder->cap_rows);
	if (!row)
		return -ENOMEM;
	*row = (struct hotspot){
		.name = frames_text(to->frames, key->name),
		.file = frames_text(to->frames, key->file),
		.module = frames_text(to->frames, key->module),
		.line = key->line,
		.kernel = frame->kernel,
		.jit = frame->jit,
		.symbolized = frame->symbolized,
	};
	*out = (uint32_t)(to->n - 1);
	return cp_index_add(&builder->index, hash, *out);
}

static int make_rows(struct builder *builder)
{
	size_t n = frames_count(builder->to->frames);
	builder->row_of_frame = malloc((n + 1) * sizeof(*builder->row_of_frame));
	builder->self_of_frame = calloc(n + 1, sizeof(*builder->self_of_frame));
	if (!builder->row_of_frame || !builder->self_of_frame)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *frame = frames_get(builder->to->frames, (frame_id){i});
		struct row_key key = key_of_frame(builder, frame);
		int rc = add_row(builder, &key, frame, &builder->row_of_frame[i]);
		if (rc)
			return rc;
	}
	builder->on_path = calloc(builder->to->n + 1, sizeof(*builder->on_path));
	return builder->on_path ? 0 : -ENOMEM;
}

static void enter(void *ctx, stack_id stack)
{
	struct builder *builder = ctx;
	struct hotspots *to = builder->to;
	size_t n;
	const frame_id *ids = frames_of_location(
		to->frames, stack_store_leaf(&builder->profile->stacks, stack), &n);
	struct amount own = builder->sums.own[stack.v];
	amount_add(&to->rows[builder->row_of_frame[ids[0].v]].self, own);
	amount_add(&builder->self_of_frame[ids[0].v], own);
	for (size_t i = 0; i < n; i++) {
		uint32_t row = builder->row_of_frame[ids[i].v];
		if (builder->on_path[row]++ == 0)
			amount_add(&to->rows[row].total, builder->sums.subtree[stack.v]);
		if (frames_get(to->frames, ids[i])->inlined)
			to->rows[row].inlined = true;
	}
}

static void leave(void *ctx, stack_id stack)
{
	struct builder *builder = ctx;
	size_t n;
	const frame_id *ids = frames_of_location(
		builder->to->frames, stack_store_leaf(&builder->profile->stacks, stack), &n);
	for (size_t i = 0; i < n; i++)
		builder->on_path[builder->row_of_frame[ids[i].v]]--;
}

/* Samples without any frame (a kernel thread whose kernel part is not shown) are a row too. */
static int add_frameless(struct builder *builder)
{
	struct amount own = builder->sums.own[STACK_NONE.v];
	if (own.value == 0)
		return 0;
	struct hotspot *row = CP_ARRAY_PUSH(builder->to->rows, builder->to->n, builder->cap_rows);
	if (!row)
		return -ENOMEM;
	*row = (struct hotspot){
		.name = PROFILE_PATH_UNKNOWN,
		.file = "",
		.module = "",
		.self = own,
		.total = own,
	};
	return 0;
}

/* A function's line: the one with the most self, else where the function starts. */
struct line_choice {
	uint32_t row, line, start_line;
	struct amount self;
};

static int by_row_and_line(const void *a, const void *b)
{
	const struct line_choice *x = a, *y = b;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static int choose_lines(struct builder *builder)
{
	struct hotspots *to = builder->to;
	size_t n = frames_count(to->frames);
	struct line_choice *choices = malloc((n + 1) * sizeof(*choices));
	int64_t *best = calloc(to->n + 1, sizeof(*best));
	if (!choices || !best) {
		free(choices);
		free(best);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct frame *frame = frames_get(to->frames, (frame_id){i});
		choices[i] = (struct line_choice){builder->row_of_frame[i], frame->line,
						  frame->start_line, builder->self_of_frame[i]};
	}
	qsort(choices, n, sizeof(*choices), by_row_and_line);
	for (size_t i = 0, end; i < n; i = end) {
		struct hotspot *row = &to->rows[choices[i].row];
		struct amount self = {0};
		/* frames of one line may differ in being inlined, for one: they count together */
		for (end = i; end < n && by_row_and_line(&choices[end], &choices[i]) == 0; end++)
			amount_add(&self, choices[end].self);
		if (choices[i].line && self.value > best[choices[i].row]) {
			best[choices[i].row] = self.value;
			row->line = choices[i].line;
		}
	}
	for (size_t i = 0; i < n; i++) {
		struct hotspot *row = &to->rows[choices[i].row];
		if (best[choices[i].row] == 0 && choices[i].start_line &&
		    (row->line == 0 || choices[i].start_line < row->line))
			row->line = choices[i].start_line;
	}
	free(choices);
	free(best);
	return 0;
}

static int make_thread_rows(struct builder *builder)
{
	const struct profile *profile = builder->profile;
	struct hotspots *to = builder->to;
	to->rows = calloc(profile->n_threads + 1, sizeof(*to->rows));
	if (!to->rows)
		return -ENOMEM;
	to->n = profile->n_threads;
	for (size_t i = 0; i < to->n; i++) {
		const struct profile_thread *thread = &profile->threads[i];
		to->rows[i] = (struct hotspot){
			.name = profile_text(profile, thread->name),
			.file = "",
			.module = "",
			.thread = thread,
		};
	}
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		if (!selection_has(&builder->selection, key->stack))
			continue;
		struct hotspot *row = &to->rows[key->thread.v];
		struct amount amount = measure_of_sample(&to->measure, profile, i);
		amount_add(&row->self, amount);
		amount_add(&row->total, amount);
	}
	return 0;
}

static int make_code_rows(struct builder *builder)
{
	int rc = make_rows(builder);
	if (!rc)
		rc = stack_sums_init(&builder->sums, builder->profile, &builder->to->measure,
				     &builder->selection);
	if (rc)
		return rc;
	stack_sums_walk(&builder->sums, builder->profile, enter, leave, builder);
	if (builder->by == REPORT_BY_FUNCTION)
		rc = choose_lines(builder);
	if (!rc)
		rc = add_frameless(builder);
	return rc;
}

static void builder_deinit(struct builder *builder)
{
	selection_deinit(&builder->selection);
	stack_sums_deinit(&builder->sums);
	cp_index_deinit(&builder->index);
	free(builder->keys);
	free(builder->row_of_frame);
	free(builder->self_of_frame);
	free(builder->on_path);
}

static int compare_amounts(struct amount a, struct amount b)
{
	if (a.value != b.value)
		return a.value > b.value ? -1 : 1;
	return 0;
}

struct thread_ids {
	uint32_t pid, tid;
};

static int compare_ids(const void *a, const void *b)
{
	const struct thread_ids *x = a, *y = b;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int compare_rows(const void *a, const void *b, void *sort)
{
	const struct hotspot *x = a, *y = b;
	int self = compare_amounts(x->self, y->self);
	int total = compare_amounts(x->total, y->total);
	int order = *(enum report_sort *)sort == REPORT_SORT_TOTAL ? total : self;
	if (!order)
		order = *(enum report_sort *)sort == REPORT_SORT_TOTAL ? self : total;
	if (!order)
		order = strcmp(x->name, y->name);
	if (!order)
		order = strcmp(x->file, y->file);
	if (!order && x->line != y->line)
		order = x->line < y->line ? -1 : 1;
	if (!order)
		order = strcmp(x->module, y->module);
	if (!order && x->pid != y->pid)
		order = x->pid < y->pid ? -1 : 1;
	if (!order && x->thread && y->thread)
		order = compare_ids(&(struct thread_ids){x->thread->pid, x->thread->tid},
				    &(struct thread_ids){y->thread->pid, y->thread->tid});
	return order;
}

int hotspots_count_threads(const struct profile *profile, size_t *threads, size_t *processes)
{
	struct thread_ids *ids = calloc(profile->n_threads + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	*threads = *processes = 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		thread_id thread = profile->samples[i].thread;
		ids[thread.v].pid = profile->threads[thread.v].pid;
		ids[thread.v].tid = profile->threads[thread.v].tid;
	}
	qsort(ids, profile->n_threads, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < profile->n_threads; i++) {
		const struct thread_ids *before = i ? &ids[i - 1] : NULL;
		*processes += ids[i].pid && (!before || before->pid != ids[i].pid);
		*threads += ids[i].tid && (!before || compare_ids(before, &ids[i]) != 0);
	}
	free(ids);
	return 0;
}

static void finish(struct hotspots *to, enum report_sort sort)
{
	size_t kept = 0;
	for (size_t i = 0; i < to->n; i++) {
		if (to->rows[i].total.value || to->rows[i].self.value)
			to->rows[kept++] = to->rows[i];
	}
	to->n = kept;
	qsort_r(to->rows, to->n, sizeof(*to->rows), compare_rows, &sort);
}

static int make_rows_of(struct builder *builder)
{
	switch (builder->by) {
	case REPORT_BY_THREAD:
		return make_thread_rows(builder);
	case REPORT_BY_PROCESS:
		return process_rows_make(builder->profile, &builder->selection, builder->to);
	case REPORT_BY_STATE:
		return wait_rows_by_state(builder->profile, &builder->selection, builder->to);
	case REPORT_BY_LOCK:
		return wait_rows_by_lock(builder->profile, &builder->selection, builder->to);
	default:
		return make_code_rows(builder);
	}
}

static int compute(const struct profile *profile, const struct report_options *options,
		   struct hotspots *to, struct cp_err *err)
{
	struct builder builder = {.profile = profile, .to = to, .by = options->by};
	int rc = measure_choose(profile, &to->measure, err);
	if (rc)
		return rc;
	if (frames_create(profile, &to->frames))
		return cp_fail_nomem(err);
	rc = selection_init(&builder.selection, profile, to->frames, options->focus,
			    options->ignore, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < profile->n_samples; i++) {
		struct amount amount = measure_of_sample(&to->measure, profile, i);
		amount_add(&to->all, amount);
		if (selection_has(&builder.selection, profile->samples[i].stack))
			amount_add(&to->selected, amount);
	}
	rc = hotspots_count_threads(profile, &to->n_threads, &to->n_processes);
	if (!rc)
		rc = make_rows_of(&builder);
	builder_deinit(&builder);
	if (rc == -ENODATA)
		return wait_rows_fail(options->by, err);
	if (rc)
		return cp_fail_nomem(err);
	finish(to, options->sort);
	return 0;
}

int hotspots_compute(const struct profile *profile, const struct report_options *options,
		     struct hotspots **out, struct cp_err *err)
{
	struct hotspots *hotspots = calloc(1, sizeof(*hotspots));
	if (!hotspots)
		return cp_fail_nomem(err);
	int rc = compute(profile, options, hotspots, err);
	if (rc) {
		hotspots_destroy(hotspots);
		return rc;
	}
	*out = hotspots;
	return 0;
}

void hotspots_destroy(struct hotspots *hotspots)
{
	if (!hotspots)
		return;
	frames_destroy(hotspots->frames);
	free(hotspots->rows);
	free(hotspots->lock_stacks);
	free(hotspots);
}
