#include "heap_growth.h"

#include <stdlib.h>
#include <string.h>

/* At least RECENT of the last five windows must have births for the growth to be going on. */
enum { OLDER = 15, LAST = 5, RECENT = 3 };

/*
 * Of n values the k-th smallest and the k-th largest hold the median between them with at least
 * 95 % (binomial distribution with p = 1/2): n = 20: k = 6, 95.9 %; n = 15: k = 4, 96.5 %.
 */
static unsigned rank_of(unsigned n)
{
	return n == HEAP_GROWTH_WINDOWS ? 6 : 4;
}

/*
 * Mann and Kendall's S of 15 values at which a rise has a chance of 2.5 % without one: its standard
 * deviation is sqrt(n (n - 1) (2 n + 5) / 18) = 20.2.
 */
enum { RISE = 41 };

static const char *const names[] = {"unknown", "plateau", "bursty", "growing"};

const char *heap_growth_name(enum heap_growth_verdict verdict)
{
	return names[verdict];
}

void heap_births_add(struct heap_births *births, uint64_t born_ns, double bytes)
{
	if (born_ns < births->from_ns || born_ns > births->to_ns ||
	    births->to_ns <= births->from_ns)
		return;
	const double part =
		(double)(born_ns - births->from_ns) / (double)(births->to_ns - births->from_ns);
	const unsigned window = (unsigned)(part * HEAP_GROWTH_WINDOWS);
	births->bytes[window < HEAP_GROWTH_WINDOWS ? window : HEAP_GROWTH_WINDOWS - 1] += bytes;
}

static int compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;
	return a < b ? -1 : a > b;
}

/* More and more is left the younger it is: survivors of a turnover, not a leak. */
static bool rises(const double *bytes)
{
	int s = 0;
	for (unsigned i = 0; i < OLDER; i++)
		for (unsigned j = i + 1; j < OLDER; j++)
			s += bytes[j] > bytes[i] ? 1 : bytes[j] < bytes[i] ? -1 : 0;
	return s >= RISE;
}

static unsigned hits(const double *bytes, unsigned n)
{
	unsigned hit = 0;
	for (unsigned i = 0; i < n; i++)
		hit += bytes[i] > 0;
	return hit;
}

static enum heap_growth_verdict verdict_of(const struct heap_births *births, bool turnover,
					   const struct heap_growth *growth)
{
	const unsigned recent = hits(births->bytes + HEAP_GROWTH_WINDOWS - LAST, LAST);
	if (recent == 0)
		return HEAP_GROWTH_PLATEAU;
	if (growth->low <= 0 || recent < RECENT || (turnover && rises(births->bytes)))
		return HEAP_GROWTH_BURSTY;
	return HEAP_GROWTH_GROWING;
}

static double sum_of(const double *bytes, unsigned n)
{
	double sum = 0;
	for (unsigned i = 0; i < n; i++)
		sum += bytes[i];
	return sum;
}

void heap_growth_judge(const struct heap_births *births, bool turnover, struct heap_growth *out)
{
	const uint64_t time_ns =
		births->to_ns > births->from_ns ? births->to_ns - births->from_ns : 0;
	struct heap_growth growth = {
		.n_windows = turnover ? OLDER : HEAP_GROWTH_WINDOWS,
		.window_ns = time_ns / HEAP_GROWTH_WINDOWS,
	};
	double sorted[HEAP_GROWTH_WINDOWS];
	memcpy(sorted, births->bytes, sizeof(sorted));
	qsort(sorted, growth.n_windows, sizeof(*sorted), compare);
	growth.n_hit = hits(births->bytes, growth.n_windows);
	if (time_ns >= HEAP_GROWTH_LEAST_NS) {
		const unsigned n = growth.n_windows, k = rank_of(n);
		const double window_s = (double)time_ns / 1e9 / HEAP_GROWTH_WINDOWS;
		growth.rate = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2 / window_s;
		growth.low = sorted[k - 1] / window_s;
		growth.high = sorted[n - k] / window_s;
		growth.mean = sum_of(sorted, n) / n / window_s;
		growth.verdict = verdict_of(births, turnover, &growth);
	}
	*out = growth;
}
