/*
 * off_cpu_shorts.h - the short waits of a thread: those that were looked at, and what those that
 * were not are taken for.
 *
 * How likely a wait is to be met by a look depends on its length alone, whatever it is for. So the
 * waits of one length that were not met are divided among the stacks of that length which were, in
 * the proportion in which they were. Lengths are classes, two to an octave; one in which none was
 * met goes by its neighbours within an octave. Where none of these was met, that may yet come: it
 * is waited for until the end.
 *
 * Depends on: sample_sink.h, wait_info.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_OFF_CPU_SHORTS_H
#define CPROF_CAPTURE_OFF_CPU_SHORTS_H

#include "sample_sink.h"
#include "wait_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes of length: up to 1.4 us, 2 us, 2.8 us, ... */
enum { SHORTS_CLASSES = 34 };

/* What was met in one stack. */
struct off_cpu_short {
	struct kept_stack stack;
	struct wait_info info;
	uint64_t ns[SHORTS_CLASSES];
	uint32_t waits[SHORTS_CLASSES];
};

/* All-zero is the initial state. */
struct off_cpu_shorts {
	struct off_cpu_short *items;
	size_t n, cap;
	uint64_t missed_ns[SHORTS_CLASSES];
	uint32_t missed[SHORTS_CLASSES];
	uint64_t missed_all_ns;
};

void off_cpu_shorts_deinit(struct off_cpu_shorts *shorts);

/** True for a wait that is not too long to be one of these. */
bool off_cpu_shorts_is_short(uint64_t wait_ns);

/** A wait that was not looked at. */
void off_cpu_shorts_miss(struct off_cpu_shorts *shorts, uint64_t wait_ns);

/** How many were not, and have not been divided up. */
uint64_t off_cpu_shorts_missed(const struct off_cpu_shorts *shorts);

/**
 * A wait that was.
 *
 * @stack: taken over when it is a new one, and then empty
 * Return: 0; -ENOSPC: too many stacks, to be divided up first; -ENOMEM.
 */
int off_cpu_shorts_meet(struct off_cpu_shorts *shorts, struct kept_stack *stack,
			const struct wait_info *info, uint64_t wait_ns);

/**
 * Divide those that were missed, and forget those that were met. In the end what was given adds up
 * to what was missed.
 *
 * @last: keep none for later
 * @give: @as is what they are taken for, NULL when none was met
 */
void off_cpu_shorts_divide(struct off_cpu_shorts *shorts, bool last,
			   void (*give)(void *ctx, const struct off_cpu_short *as, uint64_t waits,
					uint64_t ns),
			   void *ctx);

#endif
