/*
 * rule_cache.h - remember the unwind rule of each look-up address.
 *
 * Two levels, both of bounded size: a direct-mapped table from address to rule number, and the
 * distinct rules (a few hundred in most processes). A rule is bytes of a size that libunwind
 * knows; numbers from RULE_ID_FIRST_SPECIAL on are the caller's, without bytes.
 *
 * Depends on: base. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_REMOTE_RULE_CACHE_H
#define CPROF_UNWIND_REMOTE_RULE_CACHE_H

#include "base/index.h"

enum {
	RULE_BYTES_MAX = 256,    /* libunwind 1.6.2 needs 184 */
	RULE_CACHE_PCS = 8192,   /* 128 KB */
	RULE_CACHE_RULES = 8192, /* 2 MB when full, which no program has been seen to do */
	RULE_ID_FIRST_SPECIAL = 0x10000,
};

struct rule {
	_Alignas(16) uint8_t bytes[RULE_BYTES_MAX];
};

struct rule_cache {
	struct {
		uint64_t avma;
		uint32_t rule_id;
		bool used, flag;
	} pcs[RULE_CACHE_PCS];
	struct rule *rules;
	size_t n_rules, cap_rules;
	struct cp_index index; /* of rules, by their bytes */
};

void rule_cache_init(struct rule_cache *cache);
void rule_cache_deinit(struct rule_cache *cache);
void rule_cache_clear(struct rule_cache *cache);

/** Return: true, @rule_id and @flag as they were put when @avma is known. */
bool rule_cache_get(const struct rule_cache *cache, uint64_t avma, uint32_t *rule_id, bool *flag);

/** Remember @rule_id for @avma, in place of another address perhaps. */
void rule_cache_put(struct rule_cache *cache, uint64_t avma, uint32_t rule_id, bool flag);

/**
 * Find or add a rule. When the cache is full, everything in it is forgotten first.
 *
 * @n: at most RULE_BYTES_MAX; the same for all rules
 * Return: 0 or -ENOMEM.
 */
int rule_cache_intern(struct rule_cache *cache, const void *bytes, size_t n, uint32_t *rule_id);

#endif
