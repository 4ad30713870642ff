/*
 * flame_entries.h - the names in a flame graph's data, each there once, and what they cost.
 *
 * An entry is what all cells of one function share. Texts are harmless (safe_text.h) and cut to a
 * length; the sizes are those of the JSON that flamegraph.c writes.
 *
 * Depends on: base, flame_tree.h, flame_palette.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_FLAME_ENTRIES_H
#define CPROF_OUTPUT_FLAME_ENTRIES_H

#include "base/interner.h"
#include "flame_tree.h"

/* No name in the data is longer, in characters. */
enum { FLAME_NAME_CHARS = 2000 };

struct flame_entry {
	string_id name, file, module; /* in flame_entries.strings */
	unsigned class;               /* of flame_palette.h */
};

struct flame_entries {
	struct interner strings;
	struct flame_entry *entries;
	size_t n, cap;
	struct cp_index index;
	size_t max_chars;
	char *scratch;
};

/**
 * Start empty.
 *
 * @max_chars: of a text, at most FLAME_NAME_CHARS
 * Return: 0 or -ENOMEM (nothing to release).
 */
int flame_entries_init(struct flame_entries *entries, size_t max_chars);

/** An all-zero struct may be deinit'ed too. */
void flame_entries_deinit(struct flame_entries *entries);

/**
 * Find or add the entry of a node.
 *
 * @cost: increased by the bytes of what was added
 * Return: 0 or -ENOMEM.
 */
int flame_entries_add(struct flame_entries *entries, const struct flame_tree *tree,
		      const struct flame_node *node, uint32_t *out, size_t *cost);

/** Decimal digits of a number. */
static inline unsigned flame_entries_digits(uint64_t value)
{
	unsigned n = 1;
	for (; value > 9; value /= 10)
		n++;
	return n;
}

#endif
