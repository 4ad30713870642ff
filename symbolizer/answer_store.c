#include "answer_store.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>

int answer_store_init(struct answer_store *store)
{
	*store = (struct answer_store){.n_helped = 0};
	return answer_table_init(&store->fresh);
}

static void forget(struct answer_store *store)
{
	answer_table_deinit(&store->fresh);
	for (size_t i = 0; i < store->n_helped; i++)
		answer_table_deinit(&store->helped[i]);
	store->n_helped = 0;
}

void answer_store_deinit(struct answer_store *store)
{
	forget(store);
	free(store->helped);
	if (store->has_cached)
		answer_file_close(&store->cached);
	*store = (struct answer_store){.n_helped = 0};
}

bool answer_store_find(const struct answer_store *store, uint64_t svma, struct lookup_answer *out)
{
	const struct answer_table *table = &store->fresh;
	const struct answer *answer = answer_table_find(table, svma);
	if (!answer && store->has_cached) {
		table = &store->cached.table;
		answer = answer_table_find(table, svma);
	}
	for (size_t i = 0; i < store->n_helped && !answer; i++) {
		table = &store->helped[i];
		answer = answer_table_find(table, svma);
	}
	*out = (struct lookup_answer){.table = table, .answer = answer};
	return answer != NULL;
}

size_t answer_store_count(const struct answer_store *store)
{
	size_t n = store->fresh.n;
	for (size_t i = 0; i < store->n_helped; i++)
		n += store->helped[i].n;
	return n;
}

int answer_store_clear(struct answer_store *store)
{
	forget(store);
	return answer_table_init(&store->fresh);
}

/* What an earlier helper left is gone on with: each table more is one more to search. */
int answer_store_take(struct answer_store *store, struct answer_table *out)
{
	if (store->n_helped == 0)
		return answer_table_init(out);
	*out = store->helped[--store->n_helped];
	return 0;
}

int answer_store_keep(struct answer_store *store, struct answer_table *table)
{
	struct answer_table *kept =
		CP_ARRAY_PUSH(store->helped, store->n_helped, store->cap_helped);
	if (kept)
		*kept = *table;
	else
		answer_table_deinit(table);
	return kept ? 0 : -ENOMEM;
}

int answer_store_load(struct answer_store *store, const struct answer_cache_key *key)
{
	int rc = answer_cache_load(key, &store->cached);
	store->has_cached = rc == 0;
	return rc == -ENOMEM ? rc : 0;
}

void answer_store_save(const struct answer_store *store, const struct answer_cache_key *key,
		       const struct answer_origin *origins, size_t n_origins)
{
	size_t n = 0;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is meant */
	const struct answer_table **tables = calloc(store->n_helped + 2, sizeof(*tables));
	if (!tables || n_origins == 0) {
		free(tables);
		return;
	}
	tables[n++] = &store->fresh;
	for (size_t i = 0; i < store->n_helped; i++)
		tables[n++] = &store->helped[i];
	/* what the entry cannot hold with this run's answers it loses */
	size_t n_new = n;
	if (store->has_cached)
		tables[n++] = &store->cached.table;
	if (answer_cache_save(key, origins, n_origins, tables, n) == -EFBIG && n > n_new)
		answer_cache_save(key, origins, n_origins, tables, n_new);
	free(tables);
}
