/*
 * capture.h - samples of a running process, kept in memory so that several unwinders can walk the
 * very same bytes.
 *
 * Taken in batches: a quarter of a million stacks of 32 KB are 8 GB. While a batch is looked at,
 * the events are off.
 *
 * Depends on: base, unwind, capture. Threads: one at a time.
 */
#ifndef CPROF_TESTS_UNWIND_ORACLE_CAPTURE_H
#define CPROF_TESTS_UNWIND_ORACLE_CAPTURE_H

#include "base/err.h"
#include "unwind/unwind.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct capture_sample {
	struct unwind_regs regs;
	struct unwind_stack stack;
};

struct capture;

/**
 * Open events on all threads of a process; those it makes later are followed.
 *
 * @dump_bytes: of stack in each sample, a multiple of 8, below 64 KB
 * @batch:	samples taken at a time
 * Return: 0 or -errno with a message.
 */
int capture_open(pid_t pid, uint32_t dump_bytes, size_t batch, struct capture **out,
		 struct cp_err *err);
void capture_close(struct capture *capture);

/**
 * Forget the samples and take up to @wanted new ones, at most a batch.
 *
 * Return: how many there are; fewer than wanted only when the process has ended.
 */
size_t capture_next(struct capture *capture, size_t wanted);

/** Borrowed until the next call of capture_next(). */
const struct capture_sample *capture_samples(const struct capture *capture);

#endif
