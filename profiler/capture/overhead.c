#include "overhead.h"

#include "clock.h"

/* So much may be paid ahead: a pause in sampling does not buy a burst. */
#define AHEAD_MAX_NS (0.1 * (double)CLOCK_NS_PER_S)

/* Each second's worth of debt makes rounds so much further apart, up to the most. */
static const double factor_of_second = 4;
static const double factor_max = 256;

/* A look at the lengths of pauses: after so many. */
enum { RECENT_STOPS = 200, RECENT_BEYOND_MAX = 2 };
static const double pause_factor_step = 1.5, pause_factor_max = 16;

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

void overhead_init(struct overhead *overhead, struct overhead_limits limits, uint64_t now_ns,
		   uint64_t cpu_ns)
{
	*overhead = (struct overhead){
		.limits = limits,
		.settled_ns = now_ns,
		.cpu_ns = cpu_ns,
		.pause_factor = 1,
	};
}

/* Classes: 0 to 15 ns one each, then 16 of each power of two. */
static unsigned class_of(uint64_t ns)
{
	if (ns < OVERHEAD_CLASSES_OF_TWO)
		return (unsigned)ns;
	const unsigned log = 63 - (unsigned)__builtin_clzll(ns);
	return (log - 3) * OVERHEAD_CLASSES_OF_TWO +
	       (unsigned)(ns >> (log - 4) & (OVERHEAD_CLASSES_OF_TWO - 1));
}

/* The largest value of a class. */
static uint64_t end_of_class(unsigned i)
{
	if (i < OVERHEAD_CLASSES_OF_TWO)
		return i;
	const unsigned log = i / OVERHEAD_CLASSES_OF_TWO + 3;
	const uint64_t first = OVERHEAD_CLASSES_OF_TWO + i % OVERHEAD_CLASSES_OF_TWO;
	return ((first + 1) << (log - 4)) - 1;
}

/* One stop in a hundred may be too long. */
static void judge_recent(struct overhead *overhead)
{
	if (overhead->recent < RECENT_STOPS)
		return;
	if (overhead->recent_beyond > RECENT_BEYOND_MAX) {
		overhead->smaller_copies = true;
		overhead->pause_factor =
			least(overhead->pause_factor * pause_factor_step, pause_factor_max);
	} else {
		overhead->pause_factor = most(overhead->pause_factor / pause_factor_step, 1);
	}
	overhead->recent = overhead->recent_beyond = 0;
}

void overhead_add_pause(struct overhead *overhead, uint64_t pause_ns)
{
	struct pauses *pauses = &overhead->pauses;
	const bool beyond = pause_ns > overhead->limits.max_pause_ns;
	pauses->n++;
	pauses->total_ns += pause_ns;
	pauses->n_beyond += beyond;
	pauses->classes[class_of(pause_ns)]++;
	if (pause_ns > pauses->max_ns)
		pauses->max_ns = pause_ns;
	overhead->recent++;
	overhead->recent_beyond += beyond;
	judge_recent(overhead);
}

static double settle(double debt_ns, double used_ns, double share, double elapsed_ns)
{
	return most(debt_ns + used_ns / share - elapsed_ns, -AHEAD_MAX_NS);
}

/* One in 64 counts, and an outlier for no more than several. */
static double follow(double usual_ns, double used_ns)
{
	return usual_ns + (least(used_ns, 8 * usual_ns + 20000) - usual_ns) / 64;
}

/* The distance at which what a round usually costs is inside. */
static double distance_ns(const struct overhead *overhead)
{
	const struct overhead_limits *limits = &overhead->limits;
	const double for_cpu_ns = overhead->cpu_each_ns / (limits->max_share * limits->n_cpus);
	const double ran_share = most(overhead->ran_share, 0.01);
	const double for_pause_ns = overhead->pause_each_ns / (limits->max_share * ran_share);
	return most((double)limits->interval_ns, most(for_cpu_ns, for_pause_ns));
}

uint64_t overhead_settle(struct overhead *overhead, uint64_t now_ns, uint64_t cpu_ns,
			 uint64_t ran_ns)
{
	const double elapsed_ns = (double)(now_ns - overhead->settled_ns);
	const double cpu_used_ns = (double)(cpu_ns - overhead->cpu_ns);
	const double paused_ns = (double)(overhead->pauses.total_ns - overhead->paused_ns);
	const double ran_now_ns = (double)(ran_ns - overhead->ran_ns);
	const double share = overhead->limits.max_share;
	overhead->cpu_debt_ns = settle(overhead->cpu_debt_ns, cpu_used_ns,
				       share * overhead->limits.n_cpus, elapsed_ns);
	overhead->pause_debt_ns = settle(overhead->pause_debt_ns, paused_ns, share, ran_now_ns);
	overhead->cpu_each_ns = follow(overhead->cpu_each_ns, cpu_used_ns);
	overhead->pause_each_ns = follow(overhead->pause_each_ns, paused_ns);
	if (elapsed_ns > 0)
		overhead->ran_share += (ran_now_ns / elapsed_ns - overhead->ran_share) / 64;
	overhead->settled_ns = now_ns;
	overhead->cpu_ns = cpu_ns;
	overhead->ran_ns = ran_ns;
	overhead->paused_ns = overhead->pauses.total_ns;
	if (share >= 1)
		return overhead->limits.interval_ns;
	const double debt_s =
		most(most(overhead->cpu_debt_ns, overhead->pause_debt_ns), 0) / CLOCK_NS_PER_S;
	const double factor = least(1 + factor_of_second * debt_s, factor_max);
	return (uint64_t)(distance_ns(overhead) * factor * overhead->pause_factor);
}

bool overhead_wants_smaller(struct overhead *overhead)
{
	const bool wants = overhead->smaller_copies;
	overhead->smaller_copies = false;
	return wants;
}

uint64_t pauses_percentile_ns(const struct pauses *pauses, double percent)
{
	const double rank = (double)pauses->n * percent / 100;
	uint64_t sum = 0;
	for (unsigned i = 0; i < OVERHEAD_CLASSES; i++) {
		sum += pauses->classes[i];
		if (sum > 0 && (double)sum >= rank)
			return end_of_class(i) < pauses->max_ns ? end_of_class(i) : pauses->max_ns;
	}
	return 0;
}
