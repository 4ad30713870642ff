/*
 * hooks.c - the malloc family, as the target sees it.
 *
 * Each hook does what the real function does, errno included, whatever becomes of the recording.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "real.h"
#include "record.h"

#define HOOK __attribute__((visibility("default"), noinline))

/* C23 and obsolete functions that no header of this libc declares. */
void *malloc(size_t size);
void free(void *block);
void *calloc(size_t n, size_t size);
void *realloc(void *block, size_t size);
void *reallocarray(void *block, size_t n, size_t size);
void *memalign(size_t align, size_t size);
void *aligned_alloc(size_t align, size_t size);
int posix_memalign(void **out, size_t align, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);
size_t malloc_usable_size(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t align, size_t size);
int dlclose(void *handle);

/* True when the real functions can be called: false only inside dlsym's own allocations. */
static inline bool is_ready(void)
{
	return SHIM_LIKELY(__atomic_load_n(&real.malloc, __ATOMIC_ACQUIRE) != NULL) ||
	       real_resolve();
}

/*
 * Sampled, and between two points: asked before all other questions. A countdown above 0 says that
 * the real functions were found.
 */
static inline bool passes(uint64_t size)
{
	shim_tls.nested = 1;
	return shim_mine->active && record_passes(size);
}

/*
 * Whether this event is recorded; where it is not, whether the real functions can be called is
 * still to be asked.
 */
static inline bool is_wanted(void)
{
	return record_wanted() || (is_ready() && record_unwanted());
}

/* Decided before the allocation, so that most calls are tail calls. */
static inline bool is_recorded(uint64_t size)
{
	return !passes(size) && is_wanted();
}

/*
 * What hooks jump to, as their last act: the frame is like their own, so that its caller is theirs.
 * They themselves need none.
 */
#define REST __attribute__((noinline))

static REST void *malloc_rest(size_t size)
{
	if (SHIM_UNLIKELY(!is_wanted()))
		return is_ready() ? real.malloc(size) : real_arena_alloc(size, 1);
	const struct cfi_regs caller = record_caller(__builtin_frame_address(0));
	void *block = real.malloc(size);
	if (SHIM_LIKELY(block != NULL))
		record_alloc(block, size, &caller);
	return block;
}

HOOK void *malloc(size_t size)
{
	return passes(size) ? real.malloc(size) : malloc_rest(size);
}

static REST void *calloc_rest(size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (SHIM_UNLIKELY(!is_wanted()))
		return is_ready() ? real.calloc(n, size) : real_arena_alloc(bytes, 1);
	const struct cfi_regs caller = record_caller(__builtin_frame_address(0));
	void *block = real.calloc(n, size);
	if (SHIM_LIKELY(block != NULL))
		record_alloc(block, bytes, &caller);
	return block;
}

HOOK void *calloc(size_t n, size_t size)
{
	size_t bytes;
	if (!__builtin_mul_overflow(n, size, &bytes) && passes(bytes))
		return real.calloc(n, size);
	return calloc_rest(n, size);
}

static inline bool is_recorded_free(const void *block)
{
	if (!record_wanted())
		return is_wanted();
	return shim_tls.releasing != (uint64_t)(uintptr_t)block;
}

HOOK void free(void *block)
{
	if (SHIM_UNLIKELY(real_arena_has(block)))
		return;
	if (record_passes_free(block)) {
		real.free(block);
		return;
	}
	if (!block)
		return;
	if (SHIM_LIKELY(is_recorded_free(block)))
		record_free(block);
	else if (!is_ready())
		return;
	real.free(block);
}

HOOK void free_sized(void *block, size_t size)
{
	real_resolve_sized();
	if (!is_ready() || !real.free_sized || real_arena_has(block)) {
		free(block);
		return;
	}
	if (block && is_recorded_free(block))
		record_free(block);
	real.free_sized(block, size);
}

HOOK void free_aligned_sized(void *block, size_t align, size_t size)
{
	real_resolve_sized();
	if (!is_ready() || !real.free_aligned_sized || real_arena_has(block)) {
		free(block);
		return;
	}
	if (block && is_recorded_free(block))
		record_free(block);
	real.free_aligned_sized(block, align, size);
}

/* A block of the arena that has to grow: the real heap takes it over. */
static void *leave_arena(void *block, size_t size)
{
	void *moved = is_ready() ? real.malloc(size) : real_arena_alloc(size, 1);
	const size_t old = real_arena_size(block);
	if (moved)
		__builtin_memcpy(moved, block, old < size ? old : size);
	return moved;
}

static void *realloc_recorded(void *block, size_t size, const struct cfi_regs *caller)
{
	struct record_moved moved;
	record_realloc_begin(block, &moved);
	void *result = real.realloc(block, size);
	/* NULL is a failure, but for realloc(block, 0), which frees in glibc */
	const bool failed = !result && size != 0;
	const bool sampled = result && !record_passes(size);
	if (!shim.sample_bytes || moved.block.address || sampled)
		record_realloc_end(&moved, result, failed, sampled, size, caller);
	return result;
}

static REST void *realloc_rest(void *block, size_t size)
{
	const struct cfi_regs caller = record_caller(__builtin_frame_address(0));
	shim_tls.nested = 1;
	if (SHIM_UNLIKELY(block && real_arena_has(block)))
		return leave_arena(block, size);
	if (SHIM_UNLIKELY(!is_wanted()))
		return is_ready() ? real.realloc(block, size) : real_arena_alloc(size, 1);
	if (block)
		return realloc_recorded(block, size, &caller);
	void *result = real.realloc(NULL, size);
	if (result && !record_passes(size))
		record_alloc(result, size, &caller);
	return result;
}

HOOK void *realloc(void *block, size_t size)
{
	if (record_passes_free(block) && !real_arena_has(block) && passes(size))
		return real.realloc(block, size);
	return realloc_rest(block, size);
}

HOOK void *reallocarray(void *block, size_t n, size_t size)
{
	const struct cfi_regs caller = record_caller(__builtin_frame_address(0));
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (block && is_ready() && !real_arena_has(block) && (record_wanted() || record_unwanted()))
		return realloc_recorded(block, bytes, &caller);
	return realloc(block, bytes);
}

/*
 * libstdc++ rounds the size of an aligned new up before it calls aligned_alloc. What was asked for
 * is left by the operator's hook, and used by the one call that fits it.
 */
static inline size_t asked_size(size_t align, size_t size)
{
	const size_t asked = shim_tls.asked;
	if (SHIM_LIKELY(!asked))
		return size;
	shim_tls.asked = 0;
	return asked < size && size - asked < align ? asked : size;
}

#define ALIGNED_HOOK(name)                                                                         \
	HOOK void *name(size_t align, size_t size)                                                 \
	{                                                                                          \
		if (!is_ready() || !real.name)                                                     \
			return real_arena_alloc(size, align);                                      \
		if (!is_recorded(size))                                                            \
			return real.name(align, size);                                             \
		const struct cfi_regs caller = record_caller(__builtin_frame_address(0));          \
		void *block = real.name(align, size);                                              \
		if (block)                                                                         \
			record_alloc(block, asked_size(align, size), &caller);                     \
		return block;                                                                      \
	}

ALIGNED_HOOK(memalign)
ALIGNED_HOOK(aligned_alloc)

#define PAGE_HOOK(name)                                                                            \
	HOOK void *name(size_t size)                                                               \
	{                                                                                          \
		if (!is_ready() || !real.name)                                                     \
			return real_arena_alloc(size, 4096);                                       \
		if (!is_recorded(size))                                                            \
			return real.name(size);                                                    \
		const struct cfi_regs caller = record_caller(__builtin_frame_address(0));          \
		void *block = real.name(size);                                                     \
		if (block)                                                                         \
			record_alloc(block, size, &caller);                                        \
		return block;                                                                      \
	}

PAGE_HOOK(valloc)
PAGE_HOOK(pvalloc)

HOOK int posix_memalign(void **out, size_t align, size_t size)
{
	if (!is_ready() || !real.posix_memalign) {
		*out = real_arena_alloc(size, align);
		return *out ? 0 : ENOMEM;
	}
	if (!is_recorded(size))
		return real.posix_memalign(out, align, size);
	const struct cfi_regs caller = record_caller(__builtin_frame_address(0));
	const int result = real.posix_memalign(out, align, size);
	if (result == 0 && *out)
		record_alloc(*out, asked_size(align, size), &caller);
	return result;
}

HOOK size_t malloc_usable_size(void *block)
{
	if (SHIM_UNLIKELY(real_arena_has(block)))
		return real_arena_size(block);
	if (SHIM_LIKELY(real.malloc_usable_size != NULL))
		return real.malloc_usable_size(block);
	return is_ready() && real.malloc_usable_size ? real.malloc_usable_size(block) : 0;
}

HOOK int dlclose(void *handle)
{
	if (!is_ready() || !real.dlclose)
		return -1;
	const int result = real.dlclose(handle);
	if (shim_mine->active)
		record_unload();
	return result;
}
