/*
 * perf_events.h - the events of a recording: for every thread one on each CPU, or one per CPU.
 *
 * The kernel refuses to map the ring of an inherited event that is bound to no CPU, hence threads
 * x CPUs. Where that needs more descriptors than there may be, and it is permitted, one event per
 * CPU sees the whole system and the reader picks its processes.
 *
 * A thread can be sampled twice: by the event opened for it and by one it inherited from its
 * creator, when it was created while cprof attached. The records of inherited events carry the id
 * of the event as it was opened, so that the owner of an id tells the two apart.
 *
 * Depends on: base, perf_ring.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_PERF_EVENTS_H
#define CPROF_CAPTURE_PERF_EVENTS_H

#include "base/err.h"
#include "base/index.h"
#include "perf_ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The thread an event was opened for; 0 is no owner. */
typedef uint32_t perf_owner;

#define PERF_OWNER_NONE 0U
#define PERF_OWNER_SYSTEM UINT32_MAX /* the events that see every task */

struct perf_event_handle {
	int fd;
	int cpu;
	uint32_t dump_bytes;
	bool user_chain;
	perf_owner owner;
	uint64_t id;
	uint64_t until_ns; /* when that of another dump size took over; 0 = it has not */
};

enum { PERF_EVENTS_SIZES = 3 };

struct perf_events {
	struct perf_setup setup; /* dump_bytes, user_chain: now */
	/* dumps that each thread gets events for, the first to begin with; of those that see every
	 * task, others can be opened later */
	uint32_t sizes[PERF_EVENTS_SIZES];
	size_t n_sizes;
	struct perf_ring *rings; /* one per online CPU */
	size_t n_rings;
	size_t ring_bytes;
	bool mlock_limited; /* the rings would have been larger, but for kernel.perf_event_mlock_kb
			     */
	struct perf_event_handle *handles;
	size_t n_handles, cap_handles;
	struct cp_index by_id;
};

/**
 * Map the rings, as large as is allowed. wakeup_bytes, read_lost and, when 0, dump_bytes of the
 * setup are set here; a dump_bytes given is the only size.
 *
 * Return: 0 or -errno with a message.
 */
int perf_events_open(const struct perf_setup *setup, struct perf_events *out, struct cp_err *err);

/** Everything is closed and unmapped. An all-zero struct is accepted. */
void perf_events_close(struct perf_events *events);

/**
 * Make room for descriptors, raising the soft limit to the hard one if need be, and do with one
 * dump size when there is none for more.
 *
 * @n_threads: that will be attached, in all
 * Return: true when they fit.
 */
bool perf_events_fit(struct perf_events *events, size_t n_threads, size_t *out_limit);

/**
 * Open a thread's events, not yet counting (unless setup.enable_on_exec).
 *
 * Return: 0; -ESRCH: it is gone; -EMFILE; -EACCES and others. No message: what to say depends on
 *         what the caller does next. On failure nothing is left of the thread's events.
 */
int perf_events_attach(struct perf_events *events, pid_t tid);

/** One event per CPU for all tasks; setup.follow must be PERF_FOLLOW_NONE. Return: 0 or -errno. */
int perf_events_attach_system(struct perf_events *events);

/**
 * Change how much of the stack is copied, while recording.
 *
 * An event's dump cannot be changed. So each size has events of its own, of which one set counts
 * at a time: those that see every task are opened when first wanted, those of threads at once, as
 * what was born meanwhile would not have them; a thread's next smaller size is taken then. What is
 * left of a period when an event is stopped is what it goes on with when it is started again: each
 * set measures its own share of the time, so changes add no bias, however many there are.
 *
 * @bytes: as in struct perf_setup
 * Return: 0: setup.dump_bytes says what it is now; -EMFILE and others: all is as it was.
 */
int perf_events_set_dump(struct perf_events *events, uint32_t bytes);

/**
 * Have the user's chain by frame pointers with every sample from now on, as above, if the events
 * are those that see every task. Others have it from the beginning or never.
 *
 * Return: 0; -EMFILE and others: all is as it was.
 */
int perf_events_add_user_chain(struct perf_events *events);

/** Close the threads' events, keep the rings. For another try with another setup.follow. */
void perf_events_detach(struct perf_events *events);

/** Start those of the current dump size; stop all. */
void perf_events_enable(struct perf_events *events);
void perf_events_disable(struct perf_events *events);

/** The owner of the event that wrote a record. PERF_OWNER_NONE when the id is not ours. */
perf_owner perf_events_owner(const struct perf_events *events, uint64_t id);

/**
 * True for a sample of the moment in which two dump sizes counted, when it is of the one that was
 * about to be stopped: the other has begun to measure this time.
 */
bool perf_events_is_double(const struct perf_events *events, uint64_t id, uint64_t time_ns);

/**
 * Sum of all events, inherited ones included.
 *
 * running_ns is the CPU time of what was recorded, except with system-wide events.
 * Context: a system call for each event.
 */
void perf_events_count(const struct perf_events *events, struct perf_count *out);

#endif
