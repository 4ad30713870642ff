#include "off_cpu_header.h"

#include "profile/header_keys.h"

#include <inttypes.h>

int off_cpu_header_set(struct profile *profile, const struct off_cpu *off)
{
	const struct off_cpu_counts *counts = &off->counts;
	const uint64_t *looks = off->stacks.look.counts;
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{HEADER_OFF_CPU_WAITS, counts->waits},
		{HEADER_OFF_CPU_WAIT_NS, counts->wait_ns},
		{HEADER_OFF_CPU_RUN_QUEUE_WAITS, counts->cpu_waits},
		{HEADER_OFF_CPU_RUN_QUEUE_NS, counts->cpu_wait_ns},
		{HEADER_OFF_CPU_SEEN_NS, counts->seen_ns},
		{HEADER_OFF_CPU_ESTIMATED_NS, counts->estimated_ns},
		{HEADER_OFF_CPU_BROKEN, counts->broken},
		{HEADER_OFF_CPU_DROPPED, counts->untracked},
		{HEADER_OFF_CPU_TAKEN, looks[THREAD_LOOK_TAKEN]},
		{HEADER_OFF_CPU_DISCARDED, looks[THREAD_LOOK_MOVED]},
		{HEADER_OFF_CPU_REFUSED, looks[THREAD_LOOK_REFUSED]},
		{HEADER_OFF_CPU_FP_SEARCHED, off->stacks.counts.fp_searched},
		{HEADER_OFF_CPU_FP_UNKNOWN, off->stacks.counts.fp_unknown},
	};
	int code = 0;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && code == 0; i++)
		code = profile_header_setf(profile, numbers[i].key, "%" PRIu64, numbers[i].value);
	return code;
}
