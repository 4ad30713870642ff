#include "real.h"

#include <dlfcn.h>
#include <link.h>

#include "shim.h"
#include "symbol.h"

enum { ARENA_BYTES = 64 << 10, ARENA_ALIGN = 16 };

struct real_functions real;

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(4096)));
static size_t arena_used;
static uint32_t arena_blocks;

void *real_arena_alloc(size_t size, size_t align)
{
	if (align < ARENA_ALIGN)
		align = ARENA_ALIGN;
	size_t used = __atomic_load_n(&arena_used, __ATOMIC_RELAXED);
	size_t at, end;
	do {
		/* in front of each block, its size */
		at = (used + sizeof(size_t) + align - 1) & ~(align - 1);
		end = at + size;
		if (align > ARENA_BYTES || at > ARENA_BYTES || size > ARENA_BYTES - at)
			return NULL;
	} while (!__atomic_compare_exchange_n(&arena_used, &used, end, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	__builtin_memcpy(arena + at - sizeof(size_t), &size, sizeof(size));
	__atomic_fetch_add(&arena_blocks, 1, __ATOMIC_RELAXED);
	return arena + at;
}

bool real_arena_has(const void *block)
{
	return (uintptr_t)block - (uintptr_t)arena < ARENA_BYTES;
}

size_t real_arena_size(const void *block)
{
	size_t size;
	__builtin_memcpy(&size, (const uint8_t *)block - sizeof(size), sizeof(size));
	return size;
}

uint32_t real_arena_blocks(void)
{
	return __atomic_load_n(&arena_blocks, __ATOMIC_RELAXED);
}

/* POSIX's way to get a function out of dlsym(). */
static void find(void *function, const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	__builtin_memcpy(function, &found, sizeof(found));
}

bool real_resolve(void)
{
	if (shim_tls.resolving)
		return false;
	shim_tls.resolving = 1;
	/* malloc last: it says that the others are there */
	find(&real.free, "free");
	find(&real.calloc, "calloc");
	find(&real.realloc, "realloc");
	find(&real.memalign, "memalign");
	find(&real.aligned_alloc, "aligned_alloc");
	find(&real.posix_memalign, "posix_memalign");
	find(&real.valloc, "valloc");
	find(&real.pvalloc, "pvalloc");
	find(&real.malloc_usable_size, "malloc_usable_size");
	find(&real.dlclose, "dlclose");
	void *(*found)(size_t) = NULL;
	find(&found, "malloc");
	__atomic_store_n(&real.malloc, found, __ATOMIC_RELEASE);
	shim_tls.resolving = 0;
	return found != NULL;
}

static void find_loaded(void *function, const char *name)
{
	void *found = symbol_find(name);
	__builtin_memcpy(function, &found, sizeof(found));
}

void real_resolve_sized(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	find_loaded(&real.free_sized, "free_sized");
	find_loaded(&real.free_aligned_sized, "free_aligned_sized");
}

void *real_operator(const char *name, const void *caller)
{
	void *found = symbol_find(name);
	if (found)
		return found;
	found = dlsym(RTLD_NEXT, name);
	if (found)
		return found;
	/* a plugin that brought its C++ library along, out of the global scope */
	Dl_info info;
	struct link_map *map = NULL;
	if (dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) && map)
		found = dlsym(map, name);
	return found;
}
