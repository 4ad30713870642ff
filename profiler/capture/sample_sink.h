/*
 * sample_sink.h - from a sample record to a sample of the profile.
 *
 * Kernel frames come from the record's call chain, user frames from unwinding its registers and
 * stack copy; each frame becomes a location in a module, and nothing of the record is kept.
 *
 * Depends on: base, unwind, profile, processes.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_SAMPLE_SINK_H
#define CPROF_CAPTURE_SAMPLE_SINK_H

#include "base/stop.h"
#include "dump_size.h"
#include "modules.h"
#include "perf_record.h"
#include "processes.h"
#include "profile/profile.h"
#include "stack_join.h"

#include <stdbool.h>
#include <stdint.h>

struct sample_counts {
	uint64_t samples;
	uint64_t stops[CP_STOP_COUNT];
	uint64_t user_frames, fp_frames;
	uint64_t libunwind_stacks;   /* walked by libunwind */
	uint64_t in_kernel;          /* samples that interrupted the kernel */
	uint64_t processes, threads; /* with samples */
	uint64_t cpu_ns;             /* sum of the cpu values */
	struct stack_join_counts joins;
	uint64_t left_copy;      /* truncated: the stack goes on on another one */
	uint64_t omitted_frames; /* between the two sides of very deep stacks */
};

struct sample_sink {
	struct profile *profile;     /* borrowed */
	struct processes *processes; /* borrowed */
	pid_t main_pid;              /* whose executable is the profile's first module; 0 = none */
	uint64_t start_ns;
	uint64_t quantum_ns; /* of the timeline; 0 = none */
	int64_t period_ns;   /* credited per sample; 0 = the period in the record is ns */
	bool kernel_frames;  /* are to be shown */
	unsigned n_regs;     /* in a record */
	enum unwind_engine unwind;
	/* filled here */
	struct sample_counts counts;
	struct dump_use dumps;
	struct modules modules;
	struct stack_join join;
	uint64_t *pcs, *sps;
	location_id *frames;
};

/** @sink: the fields up to unwind set by the caller. Return: 0 or -ENOMEM. */
int sample_sink_init(struct sample_sink *sink);
void sample_sink_deinit(struct sample_sink *sink);

/**
 * Add one sample.
 *
 * @thread: of the record, with its process
 * Return: 0; -ENOMEM, -EOVERFLOW: the sample is dropped, the caller counts it.
 */
int sample_sink_add(struct sample_sink *sink, struct thread *thread,
		    const struct perf_record *record);

#endif
