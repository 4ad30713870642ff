/*
 * heap_blame.h - which frame of an allocation's stack a person would look at.
 *
 * The innermost frame is rarely it: memory is allocated by operator new, by strdup(), by a
 * project's own xmalloc(), by a container of the standard library. In charge is the first frame
 * that is neither an allocator or a thin wrapper of one, nor code of a standard library.
 *
 * Depends on: base, profile, frames.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_BLAME_H
#define CPROF_OUTPUT_HEAP_BLAME_H

#include "frames.h"

#include <stdbool.h>
#include <stddef.h>

/** True for malloc, operator new, xmalloc and the like, by the name of the function. */
bool heap_blame_is_allocator(const char *function);

/** True for code of a standard library, by the name of the function (std::, core::). */
bool heap_blame_is_standard(const char *function);

/** True for a standard library, by the path of the binary. */
bool heap_blame_is_library(const char *module);

struct heap_blame {
	const struct frames *frames;
	unsigned char *kinds; /* by frame, filled in when asked for */
};

/** Return: 0 or -ENOMEM. */
int heap_blame_init(struct heap_blame *blame, const struct frames *frames);
void heap_blame_deinit(struct heap_blame *blame);

/**
 * The frame in charge of a stack.
 *
 * @stack: innermost first
 * Return: its index; where nobody is, of the innermost that is no allocator; 0 of an empty one.
 */
size_t heap_blame_find(struct heap_blame *blame, const frame_id *stack, size_t n);

/** True when a frame is an allocator's or a standard library's. */
bool heap_blame_passes_over(struct heap_blame *blame, frame_id frame);

#endif
