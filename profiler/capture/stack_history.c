#include "stack_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stack_histories_init(struct stack_histories *histories)
{
	histories->last_key = 0;
	histories->n_bytes = 0;
	histories->slots = calloc(STACK_HISTORY_THREADS, sizeof(*histories->slots));
	return histories->slots ? 0 : -ENOMEM;
}

void stack_histories_deinit(struct stack_histories *histories)
{
	for (size_t i = 0; histories->slots && i < STACK_HISTORY_THREADS; i++)
		free(histories->slots[i].links);
	free(histories->slots);
	histories->slots = NULL;
}

struct stack_history *stack_histories_find(const struct stack_histories *histories, uint64_t key)
{
	struct stack_history *history = &histories->slots[key % STACK_HISTORY_THREADS];
	return key != 0 && history->key == key ? history : NULL;
}

static void drop(struct stack_history *history, size_t *n_bytes)
{
	*n_bytes -= history->n * sizeof(*history->links);
	free(history->links);
	history->links = NULL;
	history->n = 0;
}

struct stack_history *stack_histories_get(struct stack_histories *histories, uint64_t *key)
{
	struct stack_history *history = stack_histories_find(histories, *key);
	if (history)
		return history;
	*key = ++histories->last_key;
	history = &histories->slots[*key % STACK_HISTORY_THREADS];
	drop(history, &histories->n_bytes);
	*history = (struct stack_history){
		.key = *key, .needed = STACK_HISTORY_AGREEMENTS, .n_bytes = &histories->n_bytes};
	return history;
}

/* Of a tail that is the leaf: it runs on, on the same stack pointer. */
enum { ANY_PC = 0 };

void stack_history_cut(struct stack_history *history, const struct unwind_result *result)
{
	const size_t last = result->n - 1;
	history->tail = (struct stack_link){result->sps[last], last ? result->pcs[last] : ANY_PC};
}

/* Stack pointers grow from frame to frame. Return: the first with at least @sp. */
static size_t lower_bound(const uint64_t *sps, size_t n, uint64_t sp)
{
	size_t from = 0;
	while (from < n) {
		const size_t middle = from + (n - from) / 2;
		if (sps[middle] < sp)
			from = middle + 1;
		else
			n = middle;
	}
	return from;
}

/* The index of a frame in the kept stack, or its length. */
static size_t find_link(const struct stack_history *history, struct stack_link link)
{
	size_t from = 0, to = history->n;
	while (from < to) {
		const size_t middle = from + (to - from) / 2;
		if (history->links[middle].sp < link.sp)
			from = middle + 1;
		else
			to = middle;
	}
	if (from < history->n && history->links[from].sp == link.sp &&
	    (link.pc == ANY_PC || history->links[from].pc == link.pc))
		return from;
	return history->n;
}

/* Of a stack in two parts only the root's side: there is no telling what lies between. */
static size_t whole_from(const struct unwind_result *result)
{
	return result->n_omitted ? unwind_leaf_side(result->cap) : 0;
}

static bool has_tail(const struct stack_history *history, const struct unwind_result *result,
		     size_t *at)
{
	const size_t from = whole_from(result);
	*at = from + lower_bound(result->sps + from, result->n - from, history->tail.sp);
	return *at < result->n && result->sps[*at] == history->tail.sp &&
	       (history->tail.pc == ANY_PC || result->pcs[*at] == history->tail.pc);
}

static enum stack_agreement compare(const struct stack_history *history,
				    const struct unwind_result *result, size_t at)
{
	const size_t kept = find_link(history, history->tail);
	if (kept == history->n)
		return STACK_UNRELATED;
	if (history->n - kept != result->n - at)
		return STACK_DIFFERS;
	for (size_t i = 1; at + i < result->n; i++) {
		const struct stack_link *link = &history->links[kept + i];
		if (link->sp != result->sps[at + i] || link->pc != result->pcs[at + i])
			return STACK_DIFFERS;
	}
	return STACK_AGREES;
}

static void keep(struct stack_history *history, const struct unwind_result *result,
		 uint64_t seen_ns)
{
	const size_t from = whole_from(result), n = result->n - from;
	if (n != history->n) {
		drop(history, history->n_bytes);
		if (n * sizeof(*history->links) > STACK_HISTORY_MAX_BYTES - *history->n_bytes)
			return;
		history->links = calloc(n, sizeof(*history->links));
		if (!history->links)
			return;
		*history->n_bytes += n * sizeof(*history->links);
	}
	for (size_t i = 0; i < n; i++)
		history->links[i] =
			(struct stack_link){result->sps[from + i], result->pcs[from + i]};
	history->n = n;
	history->taken_ns = seen_ns;
	history->agreed_ns = seen_ns;
	history->has_fp_frames = result->n_fp_frames != 0;
	history->by_libunwind = result->by_libunwind;
}

enum stack_agreement stack_history_see(struct stack_history *history,
				       const struct unwind_result *result, uint64_t sample_ns,
				       uint64_t seen_ns)
{
	size_t at;
	if (result->n == whole_from(result) || !has_tail(history, result, &at))
		return STACK_UNRELATED;
	const enum stack_agreement agreement = compare(history, result, at);
	if (agreement == STACK_DIFFERS) {
		history->agreements = 0;
		if (history->needed < STACK_HISTORY_AGREEMENTS_MAX)
			history->needed *= 2;
	} else if (agreement == STACK_AGREES && sample_ns > history->agreed_ns) {
		history->agreements++;
	}
	if (agreement != STACK_AGREES || sample_ns > history->taken_ns)
		keep(history, result, seen_ns);
	return agreement;
}

bool stack_history_is_settled(const struct stack_history *history)
{
	return history->agreements >= history->needed;
}

static void add(struct unwind_result *result, const struct stack_link *link)
{
	result->pcs[result->n] = link->pc;
	result->sps[result->n++] = link->sp;
}

/* Frames that find no room displace the innermost ones of the root's side. */
static void append(struct unwind_result *result, const struct stack_link *links, size_t n)
{
	const size_t leaf_side = unwind_leaf_side(result->cap);
	const size_t root_side = result->cap - leaf_side;
	for (; n > 0 && result->n < result->cap; n--)
		add(result, links++);
	if (n == 0)
		return;
	const size_t n_out = n < root_side ? n : root_side;
	uint64_t *pcs = result->pcs + leaf_side, *sps = result->sps + leaf_side;
	memmove(pcs, pcs + n_out, (root_side - n_out) * sizeof(*pcs));
	memmove(sps, sps + n_out, (root_side - n_out) * sizeof(*sps));
	result->n -= n_out;
	result->n_omitted += n;
	for (links += n - n_out; result->n < result->cap; links++)
		add(result, links);
}

const struct stack_link *stack_history_outer(const struct stack_history *history,
					     uint64_t sample_ns, size_t *n)
{
	const size_t kept = find_link(history, history->tail);
	if (kept == history->n || history->tail.pc == ANY_PC || history->has_fp_frames ||
	    sample_ns > history->taken_ns + STACK_HISTORY_REFRESH_NS)
		return NULL;
	*n = history->n - kept - 1;
	return history->links + kept + 1;
}

void stack_history_confirm(struct stack_history *history, uint64_t sample_ns, uint64_t seen_ns)
{
	if (sample_ns <= history->agreed_ns)
		return;
	history->agreements++;
	history->agreed_ns = seen_ns;
}

void stack_history_append(const struct stack_history *history, struct unwind_result *result)
{
	const size_t kept = find_link(history, history->tail);
	append(result, history->links + kept + 1, history->n - kept - 1);
	result->by_libunwind = result->by_libunwind || history->by_libunwind;
	result->stop = result->n_omitted ? CP_STOP_DEPTH : CP_STOP_END;
}

/* Another stack of the thread (a coroutine's) lies elsewhere. */
enum { SAME_STACK_BYTES = 16 << 20 };

bool stack_history_is_too_deep(const struct stack_history *history, uint64_t end,
			       uint64_t sample_ns)
{
	return history->deep_hold_ns && sample_ns < history->deep_until_ns &&
	       end <= history->deep_end && history->deep_end - end < SAME_STACK_BYTES;
}

void stack_history_too_deep(struct stack_history *history, uint64_t end, uint64_t seen_ns)
{
	const uint64_t twice = 2 * history->deep_hold_ns;
	history->deep_hold_ns = !twice ? STACK_HISTORY_DEEP_HOLD_NS
				: twice < STACK_HISTORY_DEEP_HOLD_MAX_NS
					? twice
					: STACK_HISTORY_DEEP_HOLD_MAX_NS;
	history->deep_end = end;
	history->deep_until_ns = seen_ns + history->deep_hold_ns;
}

bool stack_history_join(const struct stack_history *history, struct unwind_result *result,
			uint64_t sample_ns)
{
	if (!stack_history_is_settled(history) || result->n < 2 ||
	    sample_ns > history->taken_ns + STACK_HISTORY_AGE_MAX_NS)
		return false;
	const size_t last = result->n - 1;
	const size_t kept =
		find_link(history, (struct stack_link){result->sps[last], result->pcs[last]});
	if (kept == history->n)
		return false;
	for (size_t i = 1; i < STACK_HISTORY_TAIL && i < last; i++) {
		if (i > kept)
			return false;
		const struct stack_link *link = &history->links[kept - i];
		if (link->sp != result->sps[last - i] || link->pc != result->pcs[last - i])
			return false;
	}
	append(result, history->links + kept + 1, history->n - kept - 1);
	result->stop = result->n_omitted ? CP_STOP_DEPTH : CP_STOP_END;
	return true;
}
