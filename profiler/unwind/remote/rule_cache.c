#include "rule_cache.h"

#include "base/array.h"

#include <errno.h>
#include <string.h>

int rule_cache_init(struct rule_cache *cache)
{
	memset(cache, 0, sizeof(*cache));
	cp_index_init(&cache->rule_index);
	cp_index_init(&cache->function_index);
	cache->pcs = calloc(RULE_CACHE_PCS, sizeof(*cache->pcs));
	return cache->pcs ? 0 : -ENOMEM;
}

void rule_cache_deinit(struct rule_cache *cache)
{
	free(cache->pcs);
	free(cache->rules);
	free(cache->rows);
	free(cache->functions);
	cp_index_deinit(&cache->rule_index);
	cp_index_deinit(&cache->function_index);
}

void rule_cache_clear(struct rule_cache *cache)
{
	memset(cache->pcs, 0, RULE_CACHE_PCS * sizeof(*cache->pcs));
	cache->n_rules = cache->n_rows = cache->n_functions = 0;
	cp_index_clear(&cache->rule_index);
	cp_index_clear(&cache->function_index);
}

static bool function_equal(const void *key, const void *owner, uint32_t id)
{
	const struct rule_function *functions = owner;
	return functions[id].key == *(const uint64_t *)key;
}

const struct rule_function *rule_cache_function(const struct rule_cache *cache, uint64_t key)
{
	const uint32_t id = cp_index_find(&cache->function_index, cp_hash_mix(key, 0),
					  function_equal, &key, cache->functions);
	return id == CP_INDEX_NONE ? NULL : &cache->functions[id];
}

bool rule_cache_search(const struct rule_cache *cache, const struct rule_function *function,
		       uint64_t avma, uint32_t *rule_id)
{
	if (avma < function->avma_start || avma >= function->avma_end || !function->n_rows)
		return false;
	const struct rule_row *rows = cache->rows + function->first_row;
	const uint64_t off = avma - function->avma_start;
	size_t lo = 0, hi = function->n_rows;
	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		if (rows[mid].off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return false;
	*rule_id = rows[lo - 1].rule_id;
	return true;
}

struct rule_function *rule_cache_add_function(struct rule_cache *cache, uint64_t key)
{
	if (cache->n_rules > RULE_CACHE_RULES / 2 || cache->n_rows > RULE_CACHE_ROWS / 2)
		rule_cache_clear(cache);
	struct rule_function *function =
		CP_ARRAY_PUSH(cache->functions, cache->n_functions, cache->cap_functions);
	if (!function)
		return NULL;
	*function = (struct rule_function){.key = key, .first_row = (uint32_t)cache->n_rows};
	if (cp_index_add(&cache->function_index, cp_hash_mix(key, 0),
			 (uint32_t)(cache->n_functions - 1)) != 0) {
		cache->n_functions--;
		return NULL;
	}
	return function;
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

static int intern_rule(struct rule_cache *cache, const void *bytes, size_t n, uint32_t *rule_id)
{
	const uint64_t hash = cp_hash_bytes(bytes, n);
	const struct rule_key key = {.bytes = bytes, .n = n};
	const uint32_t known =
		cp_index_find(&cache->rule_index, hash, rule_equal, &key, cache->rules);
	if (known != CP_INDEX_NONE) {
		*rule_id = known;
		return 0;
	}
	if (n > RULE_BYTES_MAX || cache->n_rules >= RULE_CACHE_RULES)
		return -ENOSPC;
	struct rule *rule = CP_ARRAY_PUSH(cache->rules, cache->n_rules, cache->cap_rules);
	if (!rule)
		return -ENOMEM;
	memcpy(rule->bytes, bytes, n);
	*rule_id = (uint32_t)(cache->n_rules - 1);
	if (cp_index_add(&cache->rule_index, hash, *rule_id) != 0) {
		cache->n_rules--;
		return -ENOMEM;
	}
	return 0;
}

int rule_cache_add_row(struct rule_cache *cache, uint64_t avma_start, const void *rule, size_t n)
{
	struct rule_function *function = &cache->functions[cache->n_functions - 1];
	const uint64_t off = avma_start - function->avma_start;
	uint32_t rule_id;
	if (off > UINT32_MAX || cache->n_rows >= RULE_CACHE_ROWS)
		return -ENOSPC;
	const int ret = intern_rule(cache, rule, n, &rule_id);
	if (ret)
		return ret;
	struct rule_row *row = CP_ARRAY_PUSH(cache->rows, cache->n_rows, cache->cap_rows);
	if (!row)
		return -ENOMEM;
	*row = (struct rule_row){.off = (uint32_t)off, .rule_id = rule_id};
	function->n_rows++;
	return 0;
}

void rule_cache_drop_rows(struct rule_cache *cache)
{
	struct rule_function *function = &cache->functions[cache->n_functions - 1];
	cache->n_rows = function->first_row;
	function->n_rows = 0;
}
