/*
 * heap_latency SECONDS LIVE: how long single calls of malloc take, while others write to the disk.
 *
 * Replaces random ones of LIVE blocks, so that the entries of all of them are written again and
 * again, and counts each malloc by its nanoseconds. Prints percentiles as JSON.
 */
#include "heap_work.h"

/* 16 steps to each power of two: 6 % wide */
enum { STEPS_LOG2 = 4, BUCKETS = 64 << STEPS_LOG2 };

static uint64_t buckets[BUCKETS];

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static unsigned bucket_of(uint64_t ns)
{
	ns |= 1 << STEPS_LOG2;
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns);
	return (log2 << STEPS_LOG2) + ((ns >> (log2 - STEPS_LOG2)) & ((1 << STEPS_LOG2) - 1));
}

static uint64_t upper_end(unsigned bucket)
{
	unsigned log2 = bucket >> STEPS_LOG2, step = bucket & ((1 << STEPS_LOG2) - 1);
	return (uint64_t)((1 << STEPS_LOG2) + step + 1) << (log2 - STEPS_LOG2);
}

static uint64_t percentile_ns(uint64_t n, double share)
{
	uint64_t wanted = (uint64_t)((double)n * share), seen = 0;
	for (unsigned i = 0; i < BUCKETS; i++)
		if ((seen += buckets[i]) > wanted)
			return upper_end(i);
	return 0;
}

static uint64_t count_beyond(uint64_t ns)
{
	uint64_t n = 0;
	for (unsigned i = bucket_of(ns) + 1; i < BUCKETS; i++)
		n += buckets[i];
	return n;
}

int main(int argc, char **argv)
{
	int64_t end = now_ns() + (int64_t)work_argument(argc, argv, 1) * 1000000000;
	uint64_t n_live = work_argument(argc, argv, 2), random = 88172645463325252, n = 0;
	char **live = calloc(n_live, sizeof(*live));
	if (!live)
		abort();
	uint64_t longest = 0;
	for (int64_t after = 0; after < end; n++) {
		char **slot = &live[work_random(&random) % n_live];
		free(*slot);
		int64_t before = now_ns();
		*slot = malloc(64);
		after = now_ns();
		if (!*slot)
			abort();
		uint64_t ns = (uint64_t)(after - before);
		buckets[bucket_of(ns)]++;
		if (ns > longest)
			longest = ns;
	}
	printf("{\"mallocs\": %" PRIu64 ", \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64
	       ", \"p999_ns\": %" PRIu64 ", \"p9999_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64
	       ", \"over_1ms\": %" PRIu64 ", \"over_10ms\": %" PRIu64 "}\n",
	       n, percentile_ns(n, 0.5), percentile_ns(n, 0.99), percentile_ns(n, 0.999),
	       percentile_ns(n, 0.9999), longest, count_beyond(1000000), count_beyond(10000000));
	return 0;
}
