#include "wait_rows.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_states(const struct profile *profile)
{
	for (size_t i = 0; i < profile->n_samples; i++) {
		if (profile->samples[i].state != CP_STATE_NONE)
			return true;
	}
	return false;
}

int wait_rows_fail(enum report_by by, struct cp_err *err)
{
	return cp_fail(err, -ENODATA,
		       "no sample of the profile says what its thread %s: record with --mode wall "
		       "or --mode offcpu",
		       by == REPORT_BY_LOCK ? "waited for" : "did");
}

int wait_rows_by_state(const struct profile *profile, const struct selection *selection,
		       struct hotspots *to)
{
	if (!has_states(profile))
		return -ENODATA;
	to->rows = calloc(CP_STATE_COUNT, sizeof(*to->rows));
	if (!to->rows)
		return -ENOMEM;
	to->n = CP_STATE_COUNT;
	for (int i = 0; i < CP_STATE_COUNT; i++) {
		to->rows[i] = (struct hotspot){
			.name = cp_state_title((enum cp_state)i),
			.file = "",
			.module = "",
			.state = (enum cp_state)i,
		};
	}
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		if (!selection_has(selection, key->stack))
			continue;
		struct amount amount = measure_of_sample(&to->measure, profile, i);
		amount_add(&to->rows[key->state].self, amount);
		amount_add(&to->rows[key->state].total, amount);
	}
	return 0;
}

/* A wait for a lock: a selected sample. */
struct wait {
	const struct profile_thread *thread;
	string_id lock;
	stack_id stack;
	struct amount amount;
};

#define ORDER(a, b)                                                                                \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)

static int compare_locks(const struct wait *x, const struct wait *y)
{
	ORDER(x->thread->pid, y->thread->pid);
	ORDER(x->lock.v, y->lock.v);
	return 0;
}

static int by_lock_and_thread(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;
	const int order = compare_locks(x, y);
	if (order)
		return order;
	ORDER(x->thread->tid, y->thread->tid);
	return 0;
}

static int by_lock_and_stack(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;
	const int order = compare_locks(x, y);
	if (order)
		return order;
	ORDER(x->stack.v, y->stack.v);
	return 0;
}

static int most_time_first(const void *a, const void *b)
{
	const struct lock_stack *x = a, *y = b;
	ORDER(y->amount.value, x->amount.value);
	ORDER(x->stack.v, y->stack.v);
	return 0;
}

static int collect(const struct profile *profile, const struct selection *selection,
		   const struct measure *measure, struct wait **out, size_t *n)
{
	size_t cap = 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		if (key->state != CP_STATE_LOCK || !selection_has(selection, key->stack))
			continue;
		struct wait *wait = CP_ARRAY_PUSH(*out, *n, cap);
		if (!wait)
			return -ENOMEM;
		*wait = (struct wait){
			.thread = &profile->threads[key->thread.v],
			.lock = key->waits_for,
			.stack = key->stack,
			.amount = measure_of_sample(measure, profile, i),
		};
	}
	return 0;
}

/* @waits: of one lock, by thread */
static struct hotspot make_row(const struct profile *profile, const struct wait *waits, size_t n)
{
	struct hotspot row = {
		.name = profile_text(profile, waits[0].lock),
		.file = "",
		.module = "",
		.pid = waits[0].thread->pid,
		.comm = profile_text(profile, waits[0].thread->comm),
	};
	for (size_t i = 0; i < n; i++) {
		row.n_threads += i == 0 || waits[i].thread->tid != waits[i - 1].thread->tid;
		amount_add(&row.self, waits[i].amount);
		amount_add(&row.total, waits[i].amount);
	}
	return row;
}

/* @waits: of one lock; their stacks go to @stacks. Return: how many there are. */
static size_t sum_stacks(struct wait *waits, size_t n, struct lock_stack *stacks)
{
	size_t n_stacks = 0;
	qsort(waits, n, sizeof(*waits), by_lock_and_stack);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || waits[i].stack.v != waits[i - 1].stack.v)
			stacks[n_stacks++] = (struct lock_stack){.stack = waits[i].stack};
		amount_add(&stacks[n_stacks - 1].amount, waits[i].amount);
	}
	qsort(stacks, n_stacks, sizeof(*stacks), most_time_first);
	return n_stacks;
}

static int sum_locks(const struct profile *profile, struct wait *waits, size_t n,
		     struct hotspots *to)
{
	size_t n_stacks = 0;
	to->rows = calloc(n + 1, sizeof(*to->rows));
	to->lock_stacks = calloc(n + 1, sizeof(*to->lock_stacks));
	if (!to->rows || !to->lock_stacks)
		return -ENOMEM;
	if (n)
		qsort(waits, n, sizeof(*waits), by_lock_and_thread);
	for (size_t first = 0, end; first < n; first = end) {
		for (end = first + 1; end < n && !compare_locks(&waits[first], &waits[end]);)
			end++;
		struct hotspot *row = &to->rows[to->n++];
		*row = make_row(profile, waits + first, end - first);
		row->stacks = to->lock_stacks + n_stacks;
		row->n_stacks = sum_stacks(waits + first, end - first, to->lock_stacks + n_stacks);
		n_stacks += row->n_stacks;
	}
	return 0;
}

int wait_rows_by_lock(const struct profile *profile, const struct selection *selection,
		      struct hotspots *to)
{
	struct wait *waits = NULL;
	size_t n = 0;
	if (!has_states(profile))
		return -ENODATA;
	int rc = collect(profile, selection, &to->measure, &waits, &n);
	if (!rc)
		rc = sum_locks(profile, waits, n, to);
	free(waits);
	return rc;
}
