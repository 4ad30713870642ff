/*
 * thread_rounds.h - which threads are looked at, when, and how many at once.
 *
 * Rounds begin at random times around the interval, so that they do not fall in step with a timer
 * of the target. A round looks at all threads as long as that is paid for: the recorder may take a
 * share of the CPUs, and what a look costs is measured. Beyond that it looks at a subset, each one
 * as likely as any other, whatever the threads do. The time since a thread's last look is what its
 * next sample stands for, so every thread's time counts in full, however seldom it is looked at.
 *
 * Depends on: nothing. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_THREAD_ROUNDS_H
#define CPROF_CAPTURE_THREAD_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define THREAD_ROUNDS_GRANT_NS UINT64_C(300000000)

struct thread_rounds {
	uint64_t interval_ns; /* wanted, on average */
	double cpu_share;     /* of one CPU, for the looks */
	uint64_t random;      /* state of the generator; never 0 */
	uint64_t next_ns;     /* when the next round is due */
	double credit_ns;     /* CPU time that may be used now */
	double look_cost_ns;  /* of one thread: average of the last ones */
	uint64_t credited_ns; /* when credit was last given */
	double charged_ns;    /* other use, not paid for yet */
	double granted_ns;    /* beyond the share: left */
	double grants_ns;     /* in all */
	/* counted */
	uint64_t n_rounds, n_looks;
	uint64_t n_passed_over; /* threads that a round should have looked at, and could not */
};

void thread_rounds_init(struct thread_rounds *rounds, uint64_t interval_ns, double cpu_share,
			uint64_t seed, uint64_t now_ns);

/**
 * What else the recorder has used since the last round: the share is for that too, but a quarter of
 * it is left for looks in any case. Before thread_rounds_begin().
 */
void thread_rounds_charge(struct thread_rounds *rounds, uint64_t other_cpu_ns);

/**
 * There is a new thread: one more look may be made, beyond the share. In all THREAD_ROUNDS_GRANT_NS
 * are given so: without it the threads that are there at the beginning would be looked at for the
 * first time at the end, or never. The same sum pays for what first looks take to read binaries:
 * else a small share would be silent for seconds, to pay that back.
 */
void thread_rounds_grant(struct thread_rounds *rounds);

/**
 * Begin a round that is due.
 *
 * Return: how many of @n threads to look at.
 */
size_t thread_rounds_begin(struct thread_rounds *rounds, size_t n, uint64_t now_ns);

/**
 * The @i-th of the @k threads to look at: numbers 0 to @n - 1 in @order are permuted as it goes, so
 * that all subsets of @k are equally likely. @order: any permutation, kept between rounds
 */
uint32_t thread_rounds_pick(struct thread_rounds *rounds, uint32_t *order, size_t i, size_t n);

/** The round is over: it has looked at @n_looks threads for @cpu_ns. Sets next_ns. */
void thread_rounds_end(struct thread_rounds *rounds, size_t n_looks, uint64_t cpu_ns,
		       uint64_t now_ns);

#endif
