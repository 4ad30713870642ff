#include "location_cache.h"

#include "base/index.h"

#include <errno.h>
#include <stdlib.h>

struct location_slot {
	uint64_t key, pc; /* key 0 = empty */
	location_id location;
};

int location_cache_init(struct location_cache *cache)
{
	*cache = (struct location_cache){
		.slots = calloc(LOCATION_CACHE_SLOTS, sizeof(*cache->slots))};
	return cache->slots ? 0 : -ENOMEM;
}

void location_cache_deinit(struct location_cache *cache)
{
	free(cache->slots);
	*cache = (struct location_cache){0};
}

static struct location_slot *slot_of(const struct location_cache *cache, uint64_t key, uint64_t pc)
{
	return &cache->slots[cp_hash_mix(key, pc) % LOCATION_CACHE_SLOTS];
}

bool location_cache_find(struct location_cache *cache, struct location_scope *scope,
			 uint64_t generation, uint64_t pc, location_id *out)
{
	if (scope->key == 0 || scope->generation != generation)
		*scope = (struct location_scope){++cache->last_key, generation};
	const struct location_slot *slot = slot_of(cache, scope->key, pc);
	if (slot->key != scope->key || slot->pc != pc)
		return false;
	*out = slot->location;
	return true;
}

void location_cache_add(struct location_cache *cache, const struct location_scope *scope,
			uint64_t pc, location_id location)
{
	*slot_of(cache, scope->key, pc) = (struct location_slot){scope->key, pc, location};
}
