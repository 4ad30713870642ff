#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASH_HALF 0xffffffff00000000ULL

uint64_t cp_hash_secret[2];

/* Before main(), so that no hash is made without it and no thread sees it change. */
__attribute__((constructor)) static void choose_secret(void)
{
	if (getrandom(cp_hash_secret, sizeof(cp_hash_secret), GRND_NONBLOCK) ==
	    (ssize_t)sizeof(cp_hash_secret))
		return;
	/* Early in boot there may be no random numbers yet: the stack's address must do then. */
	const char on_stack = 0;
	const uint64_t address = (uint64_t)(uintptr_t)&on_stack;
	cp_hash_secret[0] = address * 0x9e3779b97f4a7c15ULL;
	cp_hash_secret[1] = address * 0xff51afd7ed558ccdULL;
}

void cp_index_init(struct cp_index *index)
{
	*index = (struct cp_index){0};
}

void cp_index_deinit(struct cp_index *index)
{
	if (!index)
		return;
	free(index->slots);
	cp_index_init(index);
}

/* The slot a probe starts at: the hash's upper bits, which are the ones that are kept. */
static size_t home(const struct cp_index *index, uint64_t hash)
{
	return (size_t)(hash >> 32) & (index->n_slots - 1);
}

uint32_t cp_index_find(const struct cp_index *index, uint64_t hash, cp_index_eq *eq,
		       const void *key, const void *owner)
{
	if (!index->n_slots)
		return CP_INDEX_NONE;
	for (size_t i = home(index, hash);; i = (i + 1) & (index->n_slots - 1)) {
		uint64_t slot = index->slots[i];
		if (!slot)
			return CP_INDEX_NONE;
		if ((slot & HASH_HALF) == (hash & HASH_HALF)) {
			uint32_t id = (uint32_t)slot - 1;
			if (eq(key, owner, id))
				return id;
		}
	}
}

static void place(struct cp_index *index, uint64_t slot)
{
	size_t i = home(index, slot);
	while (index->slots[i])
		i = (i + 1) & (index->n_slots - 1);
	index->slots[i] = slot;
}

static int grow(struct cp_index *index)
{
	struct cp_index bigger = {.n_slots = index->n_slots ? index->n_slots * 2 : 64,
				  .n_used = index->n_used};
	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < index->n_slots; i++) {
		if (index->slots[i])
			place(&bigger, index->slots[i]);
	}
	free(index->slots);
	*index = bigger;
	return 0;
}

int cp_index_add(struct cp_index *index, uint64_t hash, uint32_t id)
{
	if (index->n_used * 8 >= index->n_slots * 5) {
		int rc = grow(index);
		if (rc)
			return rc;
	}
	place(index, (hash & HASH_HALF) | (uint64_t)(id + 1));
	index->n_used++;
	return 0;
}

void cp_index_clear(struct cp_index *index)
{
	if (index->n_slots)
		memset(index->slots, 0, index->n_slots * sizeof(*index->slots));
	index->n_used = 0;
}

uint64_t cp_hash_bytes(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint64_t h = n;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		h = cp_hash_mix(h, word);
	}
	uint64_t tail = 0;
	if (n)
		memcpy(&tail, p, n);
	return cp_hash_mix(h, tail);
}
