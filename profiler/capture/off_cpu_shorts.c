#include "off_cpu_shorts.h"

#include "base/array.h"

#include <errno.h>
#include <string.h>

/* Of a thread, until its sums are divided up. */
enum { SHORTS_MAX = 64 };

static void forget(struct off_cpu_shorts *shorts)
{
	for (size_t i = 0; i < shorts->n; i++)
		sample_sink_forget(&shorts->items[i].stack);
	shorts->n = 0;
}

void off_cpu_shorts_deinit(struct off_cpu_shorts *shorts)
{
	forget(shorts);
	free(shorts->items);
	shorts->items = NULL;
	shorts->cap = 0;
}

/* Two to an octave, from 1 us on; SHORTS_CLASSES and more: too long. */
static unsigned class_of(uint64_t wait_ns)
{
	const uint64_t us = wait_ns >> 10;
	if (us == 0)
		return 0;
	const unsigned octave = 63 - (unsigned)__builtin_clzll(us);
	/* the upper half begins at the square root of 2 */
	const bool upper = wait_ns * 5 >= (UINT64_C(1024) << octave) * 7;
	return 2 * octave + upper;
}

bool off_cpu_shorts_is_short(uint64_t wait_ns)
{
	return wait_ns < UINT64_C(1) << 40 && class_of(wait_ns) < SHORTS_CLASSES;
}

void off_cpu_shorts_miss(struct off_cpu_shorts *shorts, uint64_t wait_ns)
{
	const unsigned class = class_of(wait_ns);
	shorts->missed_ns[class] += wait_ns;
	shorts->missed[class]++;
	shorts->missed_all_ns += wait_ns;
}

uint64_t off_cpu_shorts_missed(const struct off_cpu_shorts *shorts)
{
	uint64_t waits = 0;
	for (size_t i = 0; i < SHORTS_CLASSES; i++)
		waits += shorts->missed[i];
	return waits;
}

static bool is_in(const struct off_cpu_short *item, const struct kept_stack *stack,
		  const struct wait_info *info)
{
	return item->stack.n == stack->n && item->stack.stop == stack->stop &&
	       item->info.state == info->state &&
	       memcmp(item->stack.frames, stack->frames, stack->n * sizeof(*stack->frames)) == 0 &&
	       strcmp(item->info.object, info->object) == 0;
}

int off_cpu_shorts_meet(struct off_cpu_shorts *shorts, struct kept_stack *stack,
			const struct wait_info *info, uint64_t wait_ns)
{
	const unsigned class = class_of(wait_ns);
	struct off_cpu_short *item = NULL;
	for (size_t i = 0; i < shorts->n && !item; i++) {
		if (is_in(&shorts->items[i], stack, info))
			item = &shorts->items[i];
	}
	if (!item && shorts->n == SHORTS_MAX)
		return -ENOSPC;
	if (!item) {
		item = CP_ARRAY_PUSH(shorts->items, shorts->n, shorts->cap);
		if (!item)
			return -ENOMEM;
		*item = (struct off_cpu_short){.stack = *stack, .info = *info};
		*stack = (struct kept_stack){0};
	}
	item->ns[class] += wait_ns;
	item->waits[class]++;
	return 0;
}

static uint64_t met_in(const struct off_cpu_shorts *shorts, unsigned class)
{
	uint64_t waits = 0;
	for (size_t i = 0; i < shorts->n; i++)
		waits += shorts->items[i].waits[class];
	return waits;
}

/* The class that says what the missed ones of @class were. Return: SHORTS_CLASSES: none does. */
static unsigned class_for(const struct off_cpu_shorts *shorts, unsigned class)
{
	static const int near[] = {0, 1, -1, 2, -2};
	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		const int other = (int)class + near[i];
		if (other >= 0 && other < SHORTS_CLASSES && met_in(shorts, (unsigned)other))
			return (unsigned)other;
	}
	return SHORTS_CLASSES;
}

/* The part of @sum that is due to @part of @rest; what is left stays in @sum. */
static uint64_t take_part(uint64_t *sum, uint64_t part, uint64_t rest)
{
	const uint64_t taken =
		part >= rest ? *sum : (uint64_t)((unsigned __int128)*sum * part / rest);
	*sum -= taken;
	return taken;
}

void off_cpu_shorts_divide(struct off_cpu_shorts *shorts, bool last,
			   void (*give)(void *ctx, const struct off_cpu_short *as, uint64_t waits,
					uint64_t ns),
			   void *ctx)
{
	for (unsigned class = 0; class < SHORTS_CLASSES; class ++) {
		uint64_t missed = shorts->missed[class], missed_ns = shorts->missed_ns[class];
		const unsigned as = missed ? class_for(shorts, class) : SHORTS_CLASSES;
		uint64_t rest = as < SHORTS_CLASSES ? met_in(shorts, as) : 0;
		if (missed == 0 || (rest == 0 && !last))
			continue;
		shorts->missed_all_ns -= missed_ns;
		shorts->missed_ns[class] = shorts->missed[class] = 0;
		for (size_t i = 0; i < shorts->n && rest; i++) {
			const struct off_cpu_short *item = &shorts->items[i];
			const uint64_t part = item->waits[as];
			if (part == 0)
				continue;
			const uint64_t waits = take_part(&missed, part, rest);
			give(ctx, item, waits, take_part(&missed_ns, part, rest));
			rest -= part;
		}
		if (missed_ns)
			give(ctx, NULL, missed, missed_ns);
	}
	forget(shorts);
}
