#include "pprof_ids.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static uint64_t id_at(const struct pprof_ids *ids, size_t position)
{
	uint64_t id;
	memcpy(&id, ids->items + position * ids->stride, sizeof(id));
	return id;
}

static bool equals(const void *key, const void *owner, uint32_t position)
{
	return id_at(owner, position) == *(const uint64_t *)key;
}

int64_t pprof_ids_find(const struct pprof_ids *ids, uint64_t id)
{
	if (id - 1 < ids->n && id_at(ids, (size_t)(id - 1)) == id)
		return (int64_t)(id - 1);
	uint32_t position = cp_index_find(&ids->index, cp_hash_mix(id, 0), equals, &id, ids);
	return position == CP_INDEX_NONE ? PPROF_IDS_NONE : (int64_t)position;
}

int pprof_ids_build(struct pprof_ids *ids, const void *items, size_t n, size_t stride,
		    const char *what, struct cp_err *err)
{
	*ids = (struct pprof_ids){.items = items, .n = n, .stride = stride};
	if (n >= CP_INDEX_NONE)
		return cp_fail(err, -E2BIG, "%zu %ss are too many", n, what);
	for (size_t i = 0; i < n; i++) {
		uint64_t id = id_at(ids, i);
		if (id == 0)
			return cp_fail(err, -EBADMSG, "damaged: a %s has the id 0", what);
		if (id == i + 1)
			continue;
		if (pprof_ids_find(ids, id) != PPROF_IDS_NONE)
			return cp_fail(err, -EBADMSG, "damaged: %s id %" PRIu64 " is there twice",
				       what, id);
		int rc = cp_index_add(&ids->index, cp_hash_mix(id, 0), (uint32_t)i);
		if (rc)
			return cp_fail_nomem(err);
	}
	return 0;
}

void pprof_ids_deinit(struct pprof_ids *ids)
{
	cp_index_deinit(&ids->index);
}
