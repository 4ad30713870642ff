/*
 * callee.h - whether a function can be what a call has called.
 *
 * Where two frames were not seen at one moment, the call in front of the outer one's return address
 * says whom it calls: directly, or through a PLT entry, whose pointer is in the process' memory.
 *
 * Depends on: base, elf, rows, remote/eh_frame.h, address_space.h, no_cfi.h. Threads: one at a
 * time.
 */
#ifndef CPROF_UNWIND_CALLEE_H
#define CPROF_UNWIND_CALLEE_H

#include "address_space.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * The function that holds an address of code.
 *
 * @start, @end: [start, end), avma
 * Return: false: nothing says which.
 */
bool callee_function(struct address_space *space, uint64_t avma, uint64_t *start, uint64_t *end);

/* A word of the process' memory. Return: false when it cannot be had. */
typedef bool callee_read_fn(void *ctx, uint64_t avma, uint64_t *out);

/**
 * False when the call before a return address has called another function than the one that is
 * there. One that the called function has jumped to (a tail call) counts as another one; what
 * cannot be told, as the same.
 *
 * @callee: look-up address of the inner frame
 * @caller: and of the outer one, inside its call
 * Context: reads code of the binaries; @read once at the most.
 */
bool callee_fits(struct address_space *space, uint64_t callee, uint64_t caller,
		 callee_read_fn *read, void *ctx);

#endif
