/*
 * dispatch.h - what each record of the rings does to the processes and the profile.
 *
 * Depends on: perf_events.h, processes.h, sample_sink.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_DISPATCH_H
#define CPROF_CAPTURE_DISPATCH_H

#include "off_cpu.h"
#include "perf_events.h"
#include "processes.h"
#include "sample_sink.h"
#include "wall.h"

#include <stdbool.h>
#include <stdint.h>

struct dispatch_counts {
	uint64_t lost;       /* records that found no room in a ring */
	uint64_t throttled;  /* times the kernel paused an event */
	uint64_t untracked;  /* records dropped by us: damaged, out of memory, of no known task */
	uint64_t overlaps;   /* second samples of when the dump size changed; not a loss */
	uint64_t duplicates; /* second samples of threads with two sets of events; not a loss */
};

struct dispatch {
	const struct perf_events *events; /* borrowed, like the next two */
	struct processes *processes;
	struct sample_sink *sink;
	struct wall *wall;       /* keeps the stacks of samples; NULL = it is not wanted */
	struct off_cpu *off_cpu; /* told of switches; NULL = nobody wants them */
	struct perf_layout layout;
	bool known_only;      /* records of other processes are none of ours: the events see all */
	bool follow_children; /* with known_only: children of known processes become known */
	struct dispatch_counts counts;
	bool lost_since_sweep;
};

/** Apply one record: a perf_ring_fn with a struct dispatch as its context. */
void dispatch_record(void *dispatch, const struct perf_event_header *header);

#endif
