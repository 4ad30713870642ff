/*
 * rule_cache.h - remember the unwind rules of functions that were seen, and of single addresses.
 *
 * Three levels, all of bounded size: a direct-mapped table from look-up address to rule number,
 * which serves nearly all look-ups; the rows of each function that was parsed; and the distinct
 * rules, a few hundred in most processes. A rule is bytes of a size that libunwind knows; numbers
 * from RULE_ID_FIRST_SPECIAL on are the caller's and have no bytes.
 *
 * Depends on: base. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_REMOTE_RULE_CACHE_H
#define CPROF_UNWIND_REMOTE_RULE_CACHE_H

#include "base/index.h"

enum {
	RULE_BYTES_MAX = 256, /* libunwind 1.6.2 needs 184 */
	RULE_CACHE_PCS = 1 << 14,
	RULE_CACHE_RULES = 1 << 13,
	RULE_CACHE_ROWS = 1 << 19,
	RULE_ID_FIRST_SPECIAL = 0x10000,
};

struct rule {
	_Alignas(16) uint8_t bytes[RULE_BYTES_MAX];
};

struct rule_pc {
	uint64_t avma;
	uint32_t rule_id;
	bool used, signal_frame;
};

struct rule_row {
	uint32_t off; /* from the function's start; valid up to the next row's */
	uint32_t rule_id;
};

struct rule_function {
	uint64_t key; /* the caller's name of it: unique in the process */
	uint64_t avma_start, avma_end;
	uint32_t first_row, n_rows; /* none: unwind information that cannot be evaluated */
	bool signal_frame;
};

struct rule_cache {
	struct rule_pc *pcs; /* RULE_CACHE_PCS */
	struct rule *rules;
	size_t n_rules, cap_rules;
	struct cp_index rule_index; /* by bytes */
	struct rule_row *rows;
	size_t n_rows, cap_rows;
	struct rule_function *functions;
	size_t n_functions, cap_functions;
	struct cp_index function_index; /* by key */
};

/** Return: 0 or -ENOMEM. */
int rule_cache_init(struct rule_cache *cache);
void rule_cache_deinit(struct rule_cache *cache);

/** Forget everything. */
void rule_cache_clear(struct rule_cache *cache);

static inline struct rule_pc *rule_cache_pc(struct rule_cache *cache, uint64_t avma)
{
	return &cache->pcs[(avma * 0x9e3779b97f4a7c15ULL >> 32) % RULE_CACHE_PCS];
}

/** Return: the function named @key, or NULL; valid until one is added. */
const struct rule_function *rule_cache_function(const struct rule_cache *cache, uint64_t key);

/** The rule of an address in @function. Return: false when no row holds it. */
bool rule_cache_search(const struct rule_cache *cache, const struct rule_function *function,
		       uint64_t avma, uint32_t *rule_id);

/**
 * Add a function without rows; a cache that is nearly full forgets everything else first.
 * Return: it, or NULL when out of memory.
 */
struct rule_function *rule_cache_add_function(struct rule_cache *cache, uint64_t key);

/**
 * Add a row to the function that was added last, in ascending order.
 *
 * @rule: @n bytes, at most RULE_BYTES_MAX; the same number for all rules
 * Return: 0, -ENOMEM or -ENOSPC.
 */
int rule_cache_add_row(struct rule_cache *cache, uint64_t avma_start, const void *rule, size_t n);

/** Take the rows of the function that was added last away. */
void rule_cache_drop_rows(struct rule_cache *cache);

#endif
