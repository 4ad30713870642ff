/*
 * interner.h - give every distinct string one small number.
 *
 * Ids are dense and in order of first appearance, so that "everything from id n on" is what is
 * new since n ids were written. Id 0 is always "". Strings never move and live as long as the
 * interner.
 *
 * Depends on: index. Threads: the owner's.
 */
#ifndef CPROF_BASE_INTERNER_H
#define CPROF_BASE_INTERNER_H

#include "index.h"

typedef struct {
	uint32_t v;
} string_id;

#define STRING_EMPTY ((string_id){0})

struct interner_block;

struct interner {
	const char **strings; /* by id, NUL-terminated */
	uint32_t *lengths;    /* by id, bytes without the NUL */
	size_t n, cap, cap_lengths;
	struct cp_index index;
	struct interner_block *blocks; /* the bytes */
	size_t block_used, block_size;
};

/** Return: 0 or -ENOMEM (nothing to release). */
int interner_init(struct interner *interner);
void interner_deinit(struct interner *interner);

/**
 * Find or add a string.
 *
 * @bytes: need not be NUL-terminated; must hold no NUL
 * Return: 0; -ENOMEM, -EOVERFLOW past 2^32 - 2 strings or a string over 2^31 bytes (@out
 * untouched).
 */
int interner_add_bytes(struct interner *interner, const char *bytes, size_t n, string_id *out);
int interner_add(struct interner *interner, const char *string, string_id *out);

/** The string of an id that this interner gave; borrowed, valid as long as the interner. */
static inline const char *interner_get(const struct interner *interner, string_id id)
{
	return interner->strings[id.v];
}

#endif
