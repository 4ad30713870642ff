/*
 * record.h - events: what a hook tells the tables.
 *
 * Order matters, because another thread gets the same address the moment it is free: a free is
 * recorded before the real one, an allocation after. A realloc takes the old block out first and
 * puts it back if it failed.
 *
 * None of these changes errno, allocates, or makes a system call but madvise.
 *
 * Depends on: shim.h. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_RECORD_H
#define CPROF_HEAP_SHIM_RECORD_H

#include "rows/cfi_step.h"
#include "shim.h"

/* The hook's caller, as it will be when the hook has returned. Of functions with a frame pointer.
 */
static inline __attribute__((always_inline)) struct cfi_regs record_caller(const void *frame)
{
	const uint64_t *saved = frame;
	return (struct cfi_regs){
		.rip = saved[1],
		.rsp = (uint64_t)(uintptr_t)frame + 16,
		.rbp = saved[0],
	};
}

/* True when this event is to be recorded in full. */
static inline bool record_wanted(void)
{
	return SHIM_LIKELY(shim_mine->active && !shim_tls.busy);
}

/**
 * Sampled mode: pass over @size bytes where there is no point among them. Return: false where there
 * is, or where the thread's first is not drawn yet; always in exact mode.
 */
static inline bool record_passes(uint64_t size)
{
	const uint64_t drawn = size + !size;
	if (drawn > shim_tls.countdown)
		return false;
	shim_tls.countdown -= drawn;
	return true;
}

/** Sampled mode: whether a block is none that is recorded, nearly always. */
static inline bool record_passes_free(const void *block)
{
	return shim.sample_bytes &&
	       !sample_filter_maybe(&shim.private->filter, (uint64_t)(uintptr_t)block);
}

/** A new block, which record_passes() said no to. */
void record_alloc(const void *block, uint64_t size, const struct cfi_regs *caller);

/** The slow part of record_free(). */
void record_free_of(const void *block);

/** A block is about to be freed. */
static inline void record_free(const void *block)
{
	if (!record_passes_free(block))
		record_free_of(block);
}

/* What record_realloc_begin() took out. */
struct record_moved {
	struct block block; /* address 0 = was not in the table */
};

void record_realloc_begin(const void *block, struct record_moved *moved);

/**
 * @new_block: NULL with @failed: the old block stays; NULL else: it is freed
 * @sampled:   the new block is to be recorded
 */
void record_realloc_end(const struct record_moved *moved, const void *new_block, bool failed,
			bool sampled, uint64_t size, const struct cfi_regs *caller);

/** Code may have been unloaded: look which modules are gone, and forget what is known of their
 * code. */
void record_unload(void);

/**
 * Why record_wanted() said no: counts the loss, or begins recording in a forked child.
 *
 * Return: true when the event can be recorded after all.
 */
bool record_unwanted(void);

#endif
