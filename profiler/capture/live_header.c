#include "live_header.h"

#include "clock.h"
#include "profile/header_keys.h"

#include <inttypes.h>

int live_header_set_limits(struct profile *profile, double max_overhead, uint64_t max_pause_ns)
{
	const int code =
		profile_header_setf(profile, HEADER_MAX_OVERHEAD_PPM, "%.0f", max_overhead * 1e6);
	if (code < 0)
		return code;
	return profile_header_setf(profile, HEADER_MAX_PAUSE_NS, "%" PRIu64, max_pause_ns);
}

/*
 * Samples per second of CPU time: of all of it. A few samples may stand for much less, and then
 * the rate would be one that nobody asked for.
 */
static uint64_t achieved_hz(const struct live_recorder *live)
{
	const uint64_t cpu_ns =
		live_threads_sampled_ns(&live->threads) + live_threads_unsampled_ns(&live->threads);
	const double cpu_s = (double)cpu_ns / CLOCK_NS_PER_S;
	return cpu_s > 0 ? (uint64_t)((double)live->counts.stopped / cpu_s + 0.5) : 0;
}

int live_header_set(struct profile *profile, const struct live_recorder *live)
{
	const struct pauses *pauses = &live->overhead.pauses;
	const struct thread_stop_counts *stops = &live->stopper.counts;
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{HEADER_PAUSES, pauses->n},
		{HEADER_PAUSE_P50_NS, pauses_percentile_ns(pauses, 50)},
		{HEADER_PAUSE_P99_NS, pauses_percentile_ns(pauses, 99)},
		{HEADER_PAUSE_LONGEST_NS, pauses->max_ns},
		{HEADER_PAUSE_TOTAL_NS, pauses->total_ns},
		{HEADER_PAUSES_BEYOND, pauses->n_beyond},
		{HEADER_RATE_ACHIEVED_HZ, achieved_hz(live)},
		{HEADER_EINTR_REWOUND, stops->rewound},
		{HEADER_EINTR_LEFT, stops->eintr_left},
		{HEADER_SHORT_WRITES, stops->short_writes},
		{HEADER_SIGNALS_PASSED, stops->signals},
		{HEADER_STOPS_LATE, stops->by_status[THREAD_STOP_LATE]},
		{HEADER_STOPS_REFUSED, stops->by_status[THREAD_STOP_REFUSED]},
		{HEADER_STOPS_HELD, stops->by_status[THREAD_STOP_HELD]},
		{HEADER_STOPS_OTHER, stops->by_status[THREAD_STOP_OTHER]},
		{HEADER_STOPS_LEFT_OUT, stops->left_out},
		{HEADER_STOPS_UNFINISHED, stops->unstopped},
		{HEADER_RUN_LOOKS, live->counts.looks},
		{HEADER_RUN_LOOKS_LEFT_OUT, live->counts.looks_left_out},
	};
	int code = 0;
	/* on the wall clock, a thread's time in no sample is known from its beginning and end */
	if (!live->setup.wall)
		code = profile_header_setf(profile, HEADER_CPU_UNSAMPLED_NS, "%" PRIu64,
					   live_threads_unsampled_ns(&live->threads));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && code == 0; i++)
		code = profile_header_setf(profile, numbers[i].key, "%" PRIu64, numbers[i].value);
	return code;
}
