/*
 * off_cpu.h - how long threads were off the CPU, and in which stacks.
 *
 * The kernel tells of every switch (PERF_RECORD_SWITCH), which makes durations exact, and is
 * allowed without privileges, but tells no stacks: copying one at each switch costs more than the
 * waits of a busy program. So the stack of a wait is taken from outside while it lasts
 * (wait_stack.h), in rounds: one that is met by a round has its own stack and its exact duration.
 * The shorter ones that are not are counted with the stacks of others of the thread that lasted as
 * long (off_cpu_shorts.h), marked as inferred, and where there are none, without a stack.
 *
 * Time between losing the CPU and getting it back without having waited for anything is time spent
 * waiting for a CPU: that of a thread which was preempted, or has just been born. Its stack is not
 * known. From being woken to running again is part of the wait: no record tells when that was.
 *
 * Records come a millisecond late (they are merged from all CPUs), looks are of now: what belongs
 * together is decided by their times. Where a record was lost, two of a kind follow each other:
 * that wait is dropped, and counted.
 *
 * Depends on: wait_stack.h, wait_info.h, off_cpu_shorts.h, processes.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_OFF_CPU_H
#define CPROF_CAPTURE_OFF_CPU_H

#include "off_cpu_shorts.h"
#include "sample_sink.h"
#include "thread_rounds.h"
#include "wait_info.h"
#include "wait_stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a look has found. */
struct off_cpu_look {
	uint64_t time_ns;
	struct kept_stack stack;
	struct wait_info info;
	enum cp_inferred inferred;
};

/* Looks at a thread that wait for the records about their moments. */
enum { OFF_CPU_LOOKS = 4 };

struct off_cpu_thread {
	pid_t pid, tid;
	bool known;     /* a record told what it does, or a look */
	bool off;       /* it has no CPU */
	bool preempted; /* it could run */
	bool counted;   /* this wait is in the profile already, with a part of its time */
	bool refused;   /* it may not be looked at */
	uint64_t since_ns, counted_to_ns;
	size_t n_bytes; /* of stack to copy */
	bool opened;    /* target has its files */
	struct thread_look_target target;
	struct wait_places places;
	/* by time: of this wait, and of later ones that no record has told of yet */
	struct off_cpu_look looks[OFF_CPU_LOOKS];
	size_t n_looks;
	uint64_t slices;      /* of thread_look_at() at the last one */
	uint64_t switched_ns; /* the last record */
	struct off_cpu_shorts shorts;
	/* among those that the next round asks for */
	bool queued, active; /* active: a record has come since the last round */
	struct off_cpu_thread *next_queued;
	struct off_cpu_thread *next; /* in its bucket */
};

enum { OFF_CPU_BUCKETS = 4096 };

struct off_cpu_counts {
	uint64_t waits;     /* that ended, or go on at the end */
	uint64_t wait_ns;   /* of blocked threads */
	uint64_t cpu_waits; /* for a CPU */
	uint64_t cpu_wait_ns;
	uint64_t seen_ns;      /* of wait_ns: with the wait's own stack */
	uint64_t estimated_ns; /* with that of another wait */
	uint64_t broken;       /* waits of unknown length: a record was lost */
	uint64_t untracked;    /* for want of memory */
};

struct off_cpu {
	struct sample_sink *sink;    /* borrowed, like the next */
	struct processes *processes; /* set by the caller, like the next */
	uint64_t start_ns;
	/* filled here */
	struct off_cpu_thread *by_tid[OFF_CPU_BUCKETS];
	struct off_cpu_thread *queue, **queue_end;
	size_t n_queued;
	size_t n_opened; /* threads whose files are kept open */
	struct thread_rounds rounds;
	struct wait_stack stacks;
	struct socket_names sockets;
	struct kept_stack no_cpu, not_seen;
	struct off_cpu_counts counts;
};

/**
 * @off:       the fields up to start_ns set by the caller
 * @rate_hz:   rounds a second, as long as @cpu_share pays for them
 * @cpu_share: of one CPU; 0.01 = 1 %
 * Return: 0 or -ENOMEM.
 */
int off_cpu_init(struct off_cpu *off, unsigned rate_hz, double cpu_share);
void off_cpu_deinit(struct off_cpu *off);

/** A thread that was there at the start: whether it waits shows later. */
void off_cpu_add(struct off_cpu *off, pid_t pid, pid_t tid);

/** The same of all that are known. */
void off_cpu_add_all(struct off_cpu *off);

/** A new thread waits for its first CPU. */
void off_cpu_born(struct off_cpu *off, pid_t pid, pid_t tid, uint64_t time_ns);

/**
 * A thread was switched.
 *
 * @out:       from its CPU, else to one
 * @preempted: with out: it could have gone on
 */
void off_cpu_switched(struct off_cpu *off, const struct thread *thread, uint64_t time_ns, bool out,
		      bool preempted);

/** A thread has ended. */
void off_cpu_ended(struct off_cpu *off, pid_t tid, uint64_t time_ns);

/** When the next round is due. */
static inline uint64_t off_cpu_due_ns(const struct off_cpu *off)
{
	return off->rounds.next_ns;
}

/**
 * Look at those whose stack is wanted, or at as many as may be looked at.
 *
 * Threads that were switched a moment ago are among them, as they may wait for something else by
 * now; those that go on waiting are looked at once.
 *
 * Context: some 5 us for each of them, and 50 us for a stack.
 */
void off_cpu_round(struct off_cpu *off);

/**
 * Look at all that could not be paid for before: those that wait until the end, for a tenth of a
 * second at most.
 */
void off_cpu_finish(struct off_cpu *off);

/**
 * Put into the profile what is certain: that part of the waits which lies before @until_ns.
 *
 * @until_ns: of the last record that was applied, at most
 * @last:     the recording is over: nothing will be more certain
 */
void off_cpu_flush(struct off_cpu *off, uint64_t until_ns, bool last);

#endif
