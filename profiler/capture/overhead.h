/*
 * overhead.h - the contract: what sampling may cost, what it does cost, and how often to sample so
 * that the second stays inside the first.
 *
 * Two costs are measured, not estimated: the CPU time of the recorder, and the time that threads of
 * the target stood still for samples. Each may be max_share: the first of the CPUs that may be
 * used, the second of the time in which threads ran. Rounds are as far apart as what one usually
 * costs asks for. What they have cost beyond that is a debt: the more of it, the further apart they
 * are, until it is paid back. So the average stays inside, while a costly beginning (reading the
 * unwind tables) slows sampling down and does not silence it.
 *
 * A single stop is asked to be shorter than max_pause_ns. One that is longer has happened already:
 * it is counted, and where that is more than one in a hundred, sampling becomes rarer and the stack
 * copies smaller. Pauses are kept in classes 1/16 wide, so that percentiles are as exact.
 *
 * Depends on: clock.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_OVERHEAD_H
#define CPROF_CAPTURE_OVERHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OVERHEAD_CLASSES_OF_TWO = 16, OVERHEAD_CLASSES = 64 * OVERHEAD_CLASSES_OF_TWO };

struct pauses {
	uint64_t n, total_ns, max_ns;
	uint64_t n_beyond; /* longer than asked for */
	uint32_t classes[OVERHEAD_CLASSES];
};

struct overhead_limits {
	double max_share; /* 0.01: 1 %; 1 or more: as much as it takes */
	uint64_t max_pause_ns;
	unsigned n_cpus;      /* that may be used */
	uint64_t interval_ns; /* between rounds, as asked for */
};

struct overhead {
	struct overhead_limits limits;
	struct pauses pauses;
	/* debts in ns of time that would have paid for them; below 0: paid ahead */
	double cpu_debt_ns, pause_debt_ns;
	/* when the debts were last counted: the time, and what had been used */
	uint64_t settled_ns, cpu_ns, ran_ns, paused_ns;
	/* what a round usually costs, and how much of the time threads run (2: two all the time) */
	double cpu_each_ns, pause_each_ns, ran_share;
	/* of the latest stops: how many, and how many too long */
	unsigned recent, recent_beyond;
	double pause_factor; /* by which rounds are further apart because of those; at least 1 */
	bool smaller_copies; /* asked for since overhead_wants_smaller() was last asked */
};

void overhead_init(struct overhead *overhead, struct overhead_limits limits, uint64_t now_ns,
		   uint64_t cpu_ns);

/** A thread stood still for at most so long. */
void overhead_add_pause(struct overhead *overhead, uint64_t pause_ns);

/**
 * A round is over.
 *
 * @cpu_ns: CPU time of the recorder so far
 * @ran_ns: of the target's threads so far, as samples have accounted for it
 * Return: how long after the beginning of this round the next one is to begin.
 */
uint64_t overhead_settle(struct overhead *overhead, uint64_t now_ns, uint64_t cpu_ns,
			 uint64_t ran_ns);

/** True, once, when pauses were so long that stacks should be copied less far. */
bool overhead_wants_smaller(struct overhead *overhead);

/** A percentile of the pauses, 0 to 100; at most 1/16 above the true one. 0 when there is none. */
uint64_t pauses_percentile_ns(const struct pauses *pauses, double percent);

#endif
