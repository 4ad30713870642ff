/*
 * answer_store.h - all answers of one look-up: those of the cache, of its owner and of helpers.
 *
 * Every thread fills a table of its own, so that nobody waits; here they are searched as one.
 *
 * Depends on: base, answer_table, answer_cache. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_ANSWER_STORE_H
#define CPROF_SYMBOLIZER_ANSWER_STORE_H

#include "answer_cache.h"

struct answer_store {
	struct answer_table fresh; /* the owner's */
	struct answer_table *helped;
	size_t n_helped, cap_helped;
	bool has_cached;
	struct answer_file cached;
};

/* An answer where it is kept. */
struct lookup_answer {
	const struct answer_table *table;
	const struct answer *answer;
};

/** Return: 0 or -ENOMEM (nothing to release). */
int answer_store_init(struct answer_store *store);
void answer_store_deinit(struct answer_store *store);

bool answer_store_find(const struct answer_store *store, uint64_t svma, struct lookup_answer *out);

/** Answers that are not from the cache. */
size_t answer_store_count(const struct answer_store *store);

/** Forget them. Return: 0 or -ENOMEM (nothing is in it then, nor may anything be added). */
int answer_store_clear(struct answer_store *store);

/** A table for a helper: one that another has filled so far, or an empty one. Return: 0, -ENOMEM.
 */
int answer_store_take(struct answer_store *store, struct answer_table *out);

/** Take a helper's table in; it is released on failure. Return: 0 or -ENOMEM. */
int answer_store_keep(struct answer_store *store, struct answer_table *table);

/** Read the cache's entry. Return: 0, also when there is none; -ENOMEM. */
int answer_store_load(struct answer_store *store, const struct answer_cache_key *key);

/** Write all to the cache. @origins: as of answer_cache_save() */
void answer_store_save(const struct answer_store *store, const struct answer_cache_key *key,
		       const struct answer_origin *origins, size_t n_origins);

#endif
