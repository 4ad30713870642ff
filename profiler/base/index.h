/*
 * index.h - a hash index over an array that somebody else owns.
 *
 * The index keeps only (hash, id); the elements stay in the owner's dense array, which is what
 * is written to files and iterated. Every "have I seen this before?" table of the project is
 * an array plus one of these. Open addressing, linear probing, at most 5/8 full, no removal.
 *
 * Depends on: nothing. Threads: the owner's.
 */
#ifndef CPROF_BASE_INDEX_H
#define CPROF_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CP_INDEX_NONE UINT32_MAX

struct cp_index {
	uint64_t *slots; /* hash in the high half, id + 1 in the low half; 0 = empty */
	size_t n_slots;  /* power of two, or 0 */
	size_t n_used;
};

/** True when the owner's element @id is the one looked for, described by @key. */
typedef bool cp_index_eq(const void *key, const void *owner, uint32_t id);

/** Start empty; allocates nothing. An all-zero struct is an empty index too. */
void cp_index_init(struct cp_index *index);
void cp_index_deinit(struct cp_index *index);

/**
 * Find an element.
 *
 * @hash: of the key, as for cp_index_add()
 * @eq:   compares; called only for elements with an equal hash (its upper 32 bits)
 * Return: the id, or CP_INDEX_NONE.
 * Context: no allocation.
 */
uint32_t cp_index_find(const struct cp_index *index, uint64_t hash, cp_index_eq *eq,
		       const void *key, const void *owner);

/**
 * Add an element that cp_index_find() did not find.
 *
 * @id: below CP_INDEX_NONE
 * Return: 0 or -ENOMEM (the index is unchanged).
 */
int cp_index_add(struct cp_index *index, uint64_t hash, uint32_t id);

/** Forget all elements; keeps the memory. */
void cp_index_clear(struct cp_index *index);

/** A 64-bit hash of bytes; another one in each process, see cp_hash_mix(). */
uint64_t cp_hash_bytes(const void *bytes, size_t n);

/* Random, set before main(). */
extern uint64_t cp_hash_secret[2];

/**
 * Mix two words into a hash, for use within this process.
 *
 * The words come from files that anybody may have made: with a hash known in advance one can be
 * made whose keys all collide, and reading it takes the square of its size. Nothing that is written
 * may depend on a hash: it is another one on every run.
 */
static inline uint64_t cp_hash_mix(uint64_t a, uint64_t b)
{
	/* the two halves of a product of secret factors, then murmur3's finaliser */
	const unsigned __int128 product =
		(unsigned __int128)(a ^ cp_hash_secret[0]) * (b ^ cp_hash_secret[1]);
	uint64_t h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ a * 0x9e3779b97f4a7c15ULL;
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

#endif
