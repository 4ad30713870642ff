/*
 * array.h - room for one more element in a growing array.
 *
 * An array is a pointer, a count and a capacity in the owner's struct; this is the only place
 * that computes a new capacity, with the overflow check that is otherwise forgotten.
 *
 * Depends on: nothing. Threads: the owner's.
 */
#ifndef CPROF_BASE_ARRAY_H
#define CPROF_BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * Make *items hold at least @need elements, growing by half.
 *
 * @items:     the array, or NULL with *cap 0
 * @cap:       its capacity in elements, updated
 * @need:      elements wanted, in all
 * @elem_size: bytes of one element
 * Return: the array, moved perhaps; NULL when out of memory: the old one stays valid.
 */
static inline void *cp_array_reserve(void *items, size_t *cap, size_t need, size_t elem_size)
{
	if (need <= *cap)
		return items;
	size_t grown = *cap + *cap / 2 + 16;
	if (grown < need)
		grown = need;
	if (grown > SIZE_MAX / 2 / elem_size)
		return NULL;
	void *moved = realloc(items, grown * elem_size);
	if (moved)
		*cap = grown;
	return moved;
}

/*
 * CP_ARRAY_PUSH(owner->items, owner->n, owner->cap): grow if needed and give the address of the
 * new last element (not cleared), or NULL when out of memory. @n is advanced on success.
 */
#define CP_ARRAY_PUSH(items, n, cap)                                                               \
	({                                                                                         \
		__typeof__(items) cp_moved_ =                                                      \
			cp_array_reserve((items), &(cap), (n) + 1, sizeof(*(items)));              \
		if (cp_moved_)                                                                     \
			(items) = cp_moved_;                                                       \
		cp_moved_ ? &(items)[(n)++] : NULL;                                                \
	})

#endif
