/*
 * pprof_ids.h - from the ids a file gives its mappings, functions and locations to positions.
 *
 * Internal to this folder. Most producers number from 1 in order, and then no memory is needed;
 * others use hashes or addresses.
 *
 * Depends on: base. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PPROF_IDS_H
#define CPROF_PROFILE_PPROF_IDS_H

#include "base/err.h"
#include "base/index.h"

enum { PPROF_IDS_NONE = -1 };

struct pprof_ids {
	const char *items; /* borrowed; each begins with its uint64_t id */
	size_t n, stride;
	struct cp_index index; /* of those that are not number position + 1 */
};

/**
 * Index an array.
 *
 * @what: for the message: "location"
 * Return: 0; -EBADMSG with a message: an id that is 0 or given twice; -ENOMEM.
 */
int pprof_ids_build(struct pprof_ids *ids, const void *items, size_t n, size_t stride,
		    const char *what, struct cp_err *err);
void pprof_ids_deinit(struct pprof_ids *ids);

/** Return: the position, or PPROF_IDS_NONE. */
int64_t pprof_ids_find(const struct pprof_ids *ids, uint64_t id);

#endif
