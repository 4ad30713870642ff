/*
 * sample_sink.h - from what was taken of a thread to a sample of the profile.
 *
 * Whoever takes samples (the kernel's timers, cprof itself) hands them over as struct sink_sample.
 * Kernel frames come from its call chain, user frames from unwinding its registers and stack copy;
 * each frame becomes a location in a module, and nothing of it is kept.
 *
 * Depends on: base, unwind, profile, processes.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_SAMPLE_SINK_H
#define CPROF_CAPTURE_SAMPLE_SINK_H

#include "base/state.h"
#include "base/stop.h"
#include "dump_size.h"
#include "location_cache.h"
#include "modules.h"
#include "processes.h"
#include "profile/profile.h"
#include "stack_join.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* What a sample has of the user's registers. */
enum sink_regs {
	SINK_REGS_NONE,  /* nothing: a kernel thread, or a task that is exiting */
	SINK_REGS_64,    /* regs, as far as regs_known says */
	SINK_REGS_OTHER, /* only the pc means something: a program of another kind (32 bits) */
};

struct sink_sample {
	uint64_t time_ns; /* on CLOCK_MONOTONIC */
	bool in_kernel;   /* the kernel was interrupted, and not the program */
	uint64_t kernel_pc;
	/* call chain with PERF_CONTEXT_* markers, leaf first, not aligned; n = 0: none */
	const uint64_t *chain;
	size_t n_chain;
	enum sink_regs regs_kind;
	struct unwind_regs regs;
	uint32_t regs_known; /* bits by DWARF number */
	struct unwind_stack stack;
	int64_t count;    /* samples it stands for */
	int64_t value_ns; /* time it stands for */
	/* of threads that are sampled waiting; zero else */
	enum cp_state state;
	const char *waits_for; /* as in struct profile_sample_key; NULL = "" */
	enum cp_inferred inferred;
};

struct sample_counts {
	uint64_t samples;
	uint64_t stops[CP_STOP_COUNT];
	uint64_t user_frames, fp_frames;
	uint64_t libunwind_stacks;   /* walked by libunwind */
	uint64_t in_kernel;          /* samples that interrupted the kernel */
	uint64_t processes, threads; /* with samples */
	uint64_t cpu_ns;             /* sum of the times of threads that ran */
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
	int64_t period_ns;   /* credited per perf record; 0 = the period in it is ns */
	bool kernel_frames;  /* are to be shown */
	unsigned n_regs;     /* in a perf record */
	enum unwind_engine unwind;
	/* filled here */
	struct sample_counts counts;
	struct dump_use dumps;
	struct modules modules;
	struct location_cache located;
	bool wants_user_chain; /* stacks were met that perf_events_add_user_chain() completes */
	struct stack_join join;
	uint64_t *pcs, *sps;
	location_id *frames;
};

/* A stack that is to be counted again: what its frames are stays when samples are flushed. */
struct kept_stack {
	location_id *frames; /* leaf first; owned */
	size_t n, cap;
	enum cp_stop stop;
	enum cp_joined joined;
};

/** @sink: the fields up to unwind set by the caller. Return: 0 or -ENOMEM. */
int sample_sink_init(struct sample_sink *sink);
void sample_sink_deinit(struct sample_sink *sink);

/**
 * Add one sample.
 *
 * @thread: whose it is, with its process
 * Return: 0; -ENOMEM, -EOVERFLOW: the sample is dropped, the caller counts it.
 */
int sample_sink_add(struct sample_sink *sink, struct thread *thread,
		    const struct sink_sample *sample);

/**
 * The unwinder that samples of a process are walked with, its mappings read again if @pc is in none
 * and that was not tried lately. Return: NULL when out of memory.
 */
struct unwinder *sample_sink_unwinder(struct sample_sink *sink, struct process *process,
				      uint64_t pc);

/**
 * Walk a sample's stack and keep it, without adding a sample.
 *
 * @kept: all-zero at first, then overwritten; sample_sink_forget() releases it
 * Return: 0; -ENOMEM, -EOVERFLOW: @kept is empty.
 */
int sample_sink_keep(struct sample_sink *sink, struct thread *thread,
		     const struct sink_sample *sample, struct kept_stack *kept);

/** A stack of one frame that is no code, see modules_named(). Return: as sample_sink_keep(). */
int sample_sink_keep_named(struct sample_sink *sink, const char *name, enum cp_stop stop,
			   struct kept_stack *kept);

/** Add a sample with a stack that was kept; of @sample only what is not its stack is used. */
int sample_sink_add_kept(struct sample_sink *sink, struct thread *thread,
			 const struct sink_sample *sample, const struct kept_stack *kept);

static inline void sample_sink_forget(struct kept_stack *kept)
{
	free(kept->frames);
	*kept = (struct kept_stack){0};
}

#endif
