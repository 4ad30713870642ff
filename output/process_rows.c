#include "process_rows.h"

#include <errno.h>
#include <stdlib.h>

static int by_name_and_pid(const void *a, const void *b, void *threads)
{
	const struct profile_thread *x =
		(const struct profile_thread *)threads + *(const uint32_t *)a;
	const struct profile_thread *y =
		(const struct profile_thread *)threads + *(const uint32_t *)b;
	if (x->comm.v != y->comm.v)
		return x->comm.v < y->comm.v ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* What the selected samples of each thread add up to. */
static void sum_threads(const struct profile *profile, const struct selection *selection,
			const struct measure *measure, struct amount *amounts)
{
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		if (selection_has(selection, key->stack))
			amount_add(&amounts[key->thread.v], measure_of_sample(measure, profile, i));
	}
}

/* @order: threads, those of one name and pid side by side */
static void sum_names(const struct profile *profile, const uint32_t *order,
		      const struct amount *amounts, struct hotspots *to)
{
	const struct profile_thread *before = NULL;
	for (size_t i = 0; i < profile->n_threads; i++) {
		const struct profile_thread *thread = &profile->threads[order[i]];
		if (amounts[order[i]].value == 0)
			continue;
		const bool new_name = !before || before->comm.v != thread->comm.v;
		if (new_name)
			to->rows[to->n++] = (struct hotspot){
				.name = profile_text(profile, thread->comm),
				.file = "",
				.module = "",
				.pid = thread->pid,
			};
		struct hotspot *row = &to->rows[to->n - 1];
		row->n_processes += thread->pid && (new_name || before->pid != thread->pid);
		amount_add(&row->self, amounts[order[i]]);
		amount_add(&row->total, amounts[order[i]]);
		before = thread;
	}
}

int process_rows_make(const struct profile *profile, const struct selection *selection,
		      struct hotspots *to)
{
	const size_t n = profile->n_threads;
	uint32_t *order = calloc(n + 1, sizeof(*order));
	struct amount *amounts = calloc(n + 1, sizeof(*amounts));
	to->rows = calloc(n + 1, sizeof(*to->rows));
	const bool has_room = order && amounts && to->rows;
	if (has_room) {
		for (uint32_t i = 0; i < n; i++)
			order[i] = i;
		qsort_r(order, n, sizeof(*order), by_name_and_pid, profile->threads);
		sum_threads(profile, selection, &to->measure, amounts);
		sum_names(profile, order, amounts, to);
	}
	free(order);
	free(amounts);
	return has_room ? 0 : -ENOMEM;
}
