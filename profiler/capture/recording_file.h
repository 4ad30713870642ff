/*
 * recording_file.h - the profile of a running recording and the file it is appended to.
 *
 * Depends on: base, profile, sample_sink.h, dispatch.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_RECORDING_FILE_H
#define CPROF_CAPTURE_RECORDING_FILE_H

#include "base/err.h"
#include "cpu_time.h"
#include "dump_size.h"
#include "profile/pprof_file.h"
#include "profile/profile.h"
#include "sample_sink.h"

#include <stdbool.h>
#include <stdint.h>

struct live_recorder;

struct off_cpu;
struct wall;

struct recording_file {
	struct profile *profile;
	struct pprof_writer *writer;
	const char *path; /* borrowed */
	bool replaced;    /* an earlier file was renamed */
	uint64_t recorder_cpu_start_ns;
	uint64_t samples_limit; /* in the file; beyond, it is compacted */
	uint64_t coarser_ns, compacting_since_ns;
};

/** What does not change during a recording. */
struct recording_facts {
	const char *command; /* quoted */
	const pid_t *pids;
	size_t n_pids;
	const char *mode;   /* value of HEADER_MODE */
	bool switches;      /* were told, and nothing sampled */
	const char *engine; /* values of HEADER_ENGINE */
	unsigned rate_hz;
	double max_overhead;   /* 0.01: 1 % */
	uint64_t max_pause_ns; /* 0 = nothing is stopped */
	bool hardware;
	bool libunwind;   /* throughout */
	bool system_wide; /* the whole machine; pids are those of the command */
	size_t n_cpus;
	const char *kernel; /* value of HEADER_KERNEL */
};

/** What has been counted up to a flush. */
struct recording_counts {
	const struct sample_counts *samples;
	uint64_t lost, throttled, untracked;
	const struct off_cpu *off_cpu;    /* NULL = switches were not told */
	const struct wall *wall;          /* NULL = not on the wall clock */
	const struct live_recorder *live; /* what its stops have cost; NULL = there were none */
	bool lost_of_cpus;                /* other programs' on the same CPUs are among the lost */
	bool buffers_limited;             /* by how much memory may be locked */
	uint64_t duration_ns;
	uint64_t quantum_ns; /* of the timeline; 0 = none */
	uint64_t start_ns;   /* of it, on CLOCK_MONOTONIC */
	uint32_t dump_bytes; /* now */
	const struct dump_size *dump;
	bool target_cpu_known;
	struct cpu_time target_cpu;
	uint64_t unwind_tables_bytes, unwind_tables_skipped;
	const char *runtimes;
	bool complete; /* this is the last flush of a recording that ended normally */
};

/** Make an empty profile with its header. Return: 0 or -errno with a message. */
int recording_file_open(struct recording_file *file, const char *path,
			const struct recording_facts *facts, struct cp_err *err);

/** Start writing. An existing file is kept as PATH.old. Return: 0 or -errno with a message. */
int recording_file_create(struct recording_file *file, struct cp_err *err);

/** Take back recording_file_create(): nothing was recorded. An earlier file gets its name again. */
void recording_file_discard(struct recording_file *file);

/** An all-zero struct is accepted. */
void recording_file_close(struct recording_file *file);

/** Append what is new, and forget the samples. Return: 0 or -errno with a message. */
int recording_file_flush(struct recording_file *file, const struct recording_counts *counts,
			 struct cp_err *err);

/**
 * When the file has grown large, have a child process rewrite it with a coarser timeline.
 *
 * @quantum_ns: of the timeline now
 * Context: a fork. A failure is no error: the file stays as it is.
 */
void recording_file_bound(struct recording_file *file, uint64_t quantum_ns);

/**
 * True while the file is rewritten: samples are kept until it has ended, as a flush would end it.
 *
 * @quantum_ns: changed to what samples must be rounded to from now on
 */
bool recording_file_is_busy(struct recording_file *file, uint64_t *quantum_ns);

#endif
