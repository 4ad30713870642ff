/*
 * real.h - the functions behind the hooks.
 *
 * Found by dlsym(RTLD_NEXT) at the first call of any hook, which can be long before this library's
 * constructor. dlsym may allocate: what is asked for meanwhile comes from a small arena in .bss,
 * and is never given back.
 *
 * Depends on: nothing. Threads: any; two that resolve at once find the same.
 */
#ifndef CPROF_HEAP_SHIM_REAL_H
#define CPROF_HEAP_SHIM_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct real_functions {
	void *(*malloc)(size_t);
	void (*free)(void *);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*memalign)(size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
	size_t (*malloc_usable_size)(void *);
	void (*free_sized)(void *, size_t);
	void (*free_aligned_sized)(void *, size_t, size_t);
	int (*dlclose)(void *);
};

extern struct real_functions real;

/** Find them. Return: false inside a call of this that has not ended: use the arena. */
bool real_resolve(void);

/**
 * C23's free_sized() and free_aligned_sized(), at their first call: most C libraries have none, and
 * a failed look-up would be the target's next dlerror().
 */
void real_resolve_sized(void);

/**
 * A C++ operator, whoever loaded its library. Does not wait for a dlopen() in another thread,
 * unless the operator is in no object that symbol_find() can read. NULL = nowhere.
 */
void *real_operator(const char *name, const void *caller);

/** Memory that is never given back, zeroed; NULL when the arena is exhausted. */
void *real_arena_alloc(size_t size, size_t align);

bool real_arena_has(const void *block);

/** Bytes from @block to the end of the arena's used part. */
size_t real_arena_size(const void *block);

/** Blocks that the arena gave. */
uint32_t real_arena_blocks(void);

#endif
