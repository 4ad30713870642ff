#include "rule_cache.h"

#include "code.h"

cfi_rule rule_cache_fill(struct rule_cache *cache, uint64_t address)
{
	if (address >> 47)
		return CFI_NONE;
	const cfi_rule rule = code_rule(address);
	const uint64_t mixed = rule_cache_mix(address);
	const uint64_t kept = rule == CFI_NONE ? RULE_CACHE_NONE : rule;
	__atomic_store_n(&cache->slots[mixed >> 32], mixed << 32 | kept, __ATOMIC_RELAXED);
	return rule;
}

void rule_cache_clear(struct rule_cache *cache)
{
	for (uint32_t i = 0; i < RULE_CACHE_SLOTS; i++)
		__atomic_store_n(&cache->slots[i], 0, __ATOMIC_RELAXED);
}
