#include "wait_places.h"

#include <string.h>

static bool read_pair(const struct unwind_stack *stack, uint64_t avma, uint64_t words[2])
{
	const uint64_t off = avma - stack->sp;
	if (avma < stack->sp || off > stack->n_bytes || stack->n_bytes - off < 2 * sizeof(words[0]))
		return false;
	memcpy(words, stack->bytes + off, 2 * sizeof(words[0]));
	return true;
}

const struct wait_place *wait_places_find(const struct wait_places *places,
					  const struct thread_copy *copy)
{
	for (size_t i = 0; i < WAIT_PLACES; i++) {
		const struct wait_place *place = &places->items[i];
		uint64_t words[2];
		if (place->sp && place->sp == unwind_regs_sp(&copy->regs) &&
		    place->pc == unwind_regs_pc(&copy->regs) &&
		    read_pair(&copy->stack, place->fp, words) &&
		    memcmp(words, place->words, sizeof(words)) == 0)
			return place;
	}
	return NULL;
}

void wait_places_add(struct wait_places *places, const struct unwind_regs *regs,
		     const struct unwind_stack *stack, enum cp_inferred inferred)
{
	struct wait_place place = {.sp = unwind_regs_sp(regs),
				   .pc = unwind_regs_pc(regs),
				   .fp = unwind_regs_fp(regs),
				   .inferred = inferred};
	if (!read_pair(stack, place.fp, place.words))
		return;
	for (size_t i = 0; i < WAIT_PLACES; i++) {
		if (places->items[i].sp == place.sp && places->items[i].pc == place.pc) {
			places->items[i] = place;
			return;
		}
	}
	places->items[places->next++ % WAIT_PLACES] = place;
}
