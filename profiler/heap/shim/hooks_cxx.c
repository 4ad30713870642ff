/*
 * hooks_cxx.c - operator new and delete, in all their forms.
 *
 * libstdc++'s forms call malloc and free, whose hooks record the block; those of tcmalloc, jemalloc
 * and mimalloc do not. Which it is shows in each call: a hook of the malloc family that ran
 * meanwhile has set shim_tls.nested. No state outlives an exception that the real function throws
 * through these frames: they have nothing to clean up, and unwind information.
 *
 * All of them lie in one section: where a walk finds it near the leaf, the frames inside of it are
 * the hooks' own, and the stack starts outside (stack_walk.c).
 */
#include <stddef.h>
#include <stdint.h>

#include "real.h"
#include "record.h"

#define HOOK __attribute__((visibility("default"), noinline, section("cprof_new")))

extern const char __start_cprof_new[] __attribute__((visibility("hidden")));
extern const char __stop_cprof_new[] __attribute__((visibility("hidden")));

typedef void *(*new_fn)(size_t, size_t, const void *);
typedef void (*delete_fn)(void *, size_t, size_t);

/* The real function, looked up at the first call. NULL = there is none but malloc and free. */
static void *resolve(void **cached, const char *name, const void *caller)
{
	static char nothing;
	void *found = __atomic_load_n(cached, __ATOMIC_ACQUIRE);
	if (SHIM_LIKELY(found != NULL))
		return found == &nothing ? NULL : found;
	found = real_operator(name, caller);
	if ((const char *)found >= __start_cprof_new && (const char *)found < __stop_cprof_new)
		found = NULL;
	__atomic_store_n(cached, found ? found : &nothing, __ATOMIC_RELEASE);
	return found;
}

/* After the real operator has given @block: record it, unless a hook inside has. */
static void after_new(void *block, size_t size, const struct cfi_regs *caller)
{
	if (!block || shim_tls.nested || !(record_wanted() || record_unwanted()))
		return;
	if (!record_passes(size))
		record_alloc(block, size, caller);
}

// NOLINTBEGIN(bugprone-macro-parentheses): parameter lists
/*
 * @rounded: the size, where the real function may round it up
 *
 * The arguments besides the size (alignment, a reference to nothrow) are passed on as they are. A
 * program whose C++ library cannot be found has malloc: where that fails, NULL.
 */
#define NEW_HOOK(name, parameters, arguments, rounded)                                             \
	void *name parameters;                                                                     \
	HOOK void *name parameters                                                                 \
	{                                                                                          \
		static void *cached;                                                               \
		void *(*function)parameters;                                                       \
		void *found = resolve(&cached, #name, __builtin_return_address(0));                \
		__builtin_memcpy(&function, &found, sizeof(function));                             \
		if (!found)                                                                        \
			return real.malloc ? real.malloc(size) : NULL;                             \
		shim_tls.nested = 0;                                                               \
		shim_tls.asked = (rounded);                                                        \
		void *block = function arguments;                                                  \
		const struct cfi_regs caller = record_caller(__builtin_frame_address(0));          \
		after_new(block, size, &caller);                                                   \
		return block;                                                                      \
	}

NEW_HOOK(_Znwm, (size_t size), (size), 0)
NEW_HOOK(_Znam, (size_t size), (size), 0)
NEW_HOOK(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW_HOOK(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), 0)
NEW_HOOK(_ZnwmSt11align_val_t, (size_t size, size_t align), (size, align), size)
NEW_HOOK(_ZnamSt11align_val_t, (size_t size, size_t align), (size, align), size)
NEW_HOOK(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *tag),
	 (size, align, tag), size)
NEW_HOOK(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t align, const void *tag),
	 (size, align, tag), size)

/* Record a free; the hook of free() that the real operator may call knows this block then. */
static void before_delete(void *block)
{
	if (!block || !(record_wanted() || record_unwanted()))
		return;
	if (shim_tls.releasing == (uint64_t)(uintptr_t)block)
		return; /* delete[] calls delete */
	record_free(block);
	shim_tls.releasing = (uint64_t)(uintptr_t)block;
}

#define DELETE_HOOK(name, parameters, arguments)                                                   \
	void name parameters;                                                                      \
	HOOK void name parameters                                                                  \
	{                                                                                          \
		static void *cached;                                                               \
		void(*function) parameters;                                                        \
		void *found = resolve(&cached, #name, __builtin_return_address(0));                \
		__builtin_memcpy(&function, &found, sizeof(function));                             \
		before_delete(block);                                                              \
		if (found)                                                                         \
			function arguments;                                                        \
		else if (real.free)                                                                \
			real.free(block);                                                          \
		shim_tls.releasing = 0;                                                            \
	}

// NOLINTEND(bugprone-macro-parentheses)

DELETE_HOOK(_ZdlPv, (void *block), (block))
DELETE_HOOK(_ZdaPv, (void *block), (block))
DELETE_HOOK(_ZdlPvm, (void *block, size_t size), (block, size))
DELETE_HOOK(_ZdaPvm, (void *block, size_t size), (block, size))
DELETE_HOOK(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE_HOOK(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag), (block, tag))
DELETE_HOOK(_ZdlPvSt11align_val_t, (void *block, size_t align), (block, align))
DELETE_HOOK(_ZdaPvSt11align_val_t, (void *block, size_t align), (block, align))
DELETE_HOOK(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t align), (block, size, align))
DELETE_HOOK(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t align), (block, size, align))
DELETE_HOOK(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t align, const void *tag),
	    (block, align, tag))
DELETE_HOOK(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t align, const void *tag),
	    (block, align, tag))
