#include "rule_cache.h"

#include "base/array.h"

#include <errno.h>
#include <string.h>

void rule_cache_init(struct rule_cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	cp_index_init(&cache->index);
}

void rule_cache_deinit(struct rule_cache *cache)
{
	free(cache->rules);
	cp_index_deinit(&cache->index);
}

void rule_cache_clear(struct rule_cache *cache)
{
	memset(cache->pcs, 0, sizeof(cache->pcs));
	cache->n_rules = 0;
	cp_index_clear(&cache->index);
}

static size_t slot_of(uint64_t avma)
{
	return (avma * 0x9e3779b97f4a7c15ULL >> 32) % RULE_CACHE_PCS;
}

bool rule_cache_get(const struct rule_cache *cache, uint64_t avma, uint32_t *rule_id, bool *flag)
{
	const size_t slot = slot_of(avma);
	if (!cache->pcs[slot].used || cache->pcs[slot].avma != avma)
		return false;
	*rule_id = cache->pcs[slot].rule_id;
	*flag = cache->pcs[slot].flag;
	return true;
}

void rule_cache_put(struct rule_cache *cache, uint64_t avma, uint32_t rule_id, bool flag)
{
	const size_t slot = slot_of(avma);
	cache->pcs[slot].avma = avma;
	cache->pcs[slot].rule_id = rule_id;
	cache->pcs[slot].flag = flag;
	cache->pcs[slot].used = true;
}

struct rule_key {
	const void *bytes;
	size_t n;
};

static bool rule_equal(const void *key, const void *owner, uint32_t id)
{
	const struct rule_key *rule_key = key;
	const struct rule *rules = owner;
	return memcmp(rule_key->bytes, rules[id].bytes, rule_key->n) == 0;
}

int rule_cache_intern(struct rule_cache *cache, const void *bytes, size_t n, uint32_t *rule_id)
{
	const uint64_t hash = cp_hash_bytes(bytes, n);
	const struct rule_key key = {.bytes = bytes, .n = n};
	const uint32_t known = cp_index_find(&cache->index, hash, rule_equal, &key, cache->rules);
	if (known != CP_INDEX_NONE) {
		*rule_id = known;
		return 0;
	}
	if (cache->n_rules == RULE_CACHE_RULES)
		rule_cache_clear(cache);
	struct rule *rule = CP_ARRAY_PUSH(cache->rules, cache->n_rules, cache->cap_rules);
	if (!rule)
		return -ENOMEM;
	memcpy(rule->bytes, bytes, n);
	const uint32_t id = (uint32_t)(cache->n_rules - 1);
	if (cp_index_add(&cache->index, hash, id) != 0) {
		cache->n_rules--;
		return -ENOMEM;
	}
	*rule_id = id;
	return 0;
}
