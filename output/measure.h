/*
 * measure.h - which of a profile's values are counted, and sums of them that cannot overflow.
 *
 * Our CPU profiles count samples and carry CPU time beside them. In profiles of waiting the samples
 * have very different weights (a wait of a second, one of a microsecond): there the time counts,
 * `wall` or `off_cpu`, and the number of samples stands beside it. Profiles of other producers
 * (Go's heap profiles, for example) have other columns: then the last one counts, which is the
 * one their producer shows by default.
 *
 * Depends on: base, profile. Threads: any.
 */
#ifndef CPROF_OUTPUT_MEASURE_H
#define CPROF_OUTPUT_MEASURE_H

#include "base/err.h"
#include "profile/profile.h"

struct measure {
	int column;              /* of the value that shares are computed from */
	int cpu_column;          /* CPU nanoseconds, or -1 */
	int count_column;        /* samples/count, or -1 */
	bool counts_samples;     /* the column is samples/count */
	const char *type, *unit; /* of the column; borrowed from the profile */
	/* of what people call the time where that is the column: "wall time", "off-CPU time";
	 * NULL where samples or something else are counted */
	const char *time;
};

/* What one sample, or a set of them, amounts to. */
struct amount {
	int64_t value;  /* in the measure's column */
	int64_t cpu_ns; /* 0 without such a column */
	int64_t count;  /* samples; 0 without such a column */
};

/**
 * Choose the columns.
 *
 * Return: 0; -ENODATA: there are no samples, or all amount to nothing (the message lists what to
 *         check: idle target, wrong process, hidden kernel time).
 */
int measure_choose(const struct profile *profile, struct measure *out, struct cp_err *err);

/** The amount of sample number @sample. */
struct amount measure_of_sample(const struct measure *measure, const struct profile *profile,
				size_t sample);

/** Sum that stops at the limits of int64_t: a damaged file must not be able to overflow it. */
static inline int64_t amount_sum(int64_t a, int64_t b)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

static inline void amount_add(struct amount *to, struct amount from)
{
	to->value = amount_sum(to->value, from.value);
	to->cpu_ns = amount_sum(to->cpu_ns, from.cpu_ns);
	to->count = amount_sum(to->count, from.count);
}

/** True when what is counted are nanoseconds. */
bool measure_is_time(const struct measure *measure);

/** True when what is counted are bytes. */
bool measure_is_bytes(const struct measure *measure);

/** The percentage that @part is of @whole; 0 when @whole is not positive. */
static inline double amount_pct(int64_t part, int64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

#endif
