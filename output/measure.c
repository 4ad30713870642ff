#include "measure.h"

#include "base/text.h"
#include "profile/header_keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Below this a CPU profile of the target cannot be expected to have samples. */
static const uint64_t idle_ns = 10000000;

/* In the order in which they are preferred: the first that a profile has is counted. */
static const struct {
	const char *type, *time;
} times[] = {{"off_cpu", "off-CPU time"}, {"wall", "wall time"}};

enum { N_TIMES = sizeof(times) / sizeof(times[0]) };

/* The column of a type if it holds nanoseconds, else -1. */
static int time_column(const struct profile *profile, const char *type)
{
	const int column = profile_value_column(profile, type);
	if (column < 0)
		return -1;
	const char *unit = profile_text(profile, profile->value_types[column].unit);
	return strcmp(unit, "nanoseconds") == 0 ? column : -1;
}

static bool is_of_waiting(const struct profile *profile)
{
	for (size_t i = 0; i < N_TIMES; i++) {
		if (time_column(profile, times[i].type) >= 0)
			return true;
	}
	return false;
}

static int fail_empty(const struct profile *profile, struct cp_err *err)
{
	uint64_t cpu_ns = profile_header_u64(profile, HEADER_TARGET_USER_NS, 0) +
			  profile_header_u64(profile, HEADER_TARGET_SYSTEM_NS, 0);
	bool cpu_known = profile_header_get(profile, HEADER_TARGET_USER_NS) != NULL;
	const char *kernel = profile_header_get(profile, HEADER_KERNEL);
	char cpu[CP_TEXT_MAX], duration[CP_TEXT_MAX];
	cp_format_duration(cpu_ns, cpu);
	cp_format_duration(profile->duration_ns > 0 ? (uint64_t)profile->duration_ns : 0, duration);
	if (cpu_known && cpu_ns < idle_ns && !is_of_waiting(profile))
		return cp_fail(
			err, -ENODATA,
			"the profile holds no samples: the target used %s CPU in %s, so it "
			"was idle; record it while it works, for longer (-d), or check that the "
			"pid is the process that does the work",
			cpu_ns ? cpu : "no", duration);
	if (cpu_known && kernel && !is_of_waiting(profile) && strcmp(kernel, "hidden") == 0)
		return cp_fail(
			err, -ENODATA,
			"the profile holds no samples although the target used %s of CPU: time "
			"in the kernel is not visible here; run as root, or set "
			"kernel.perf_event_paranoid=1",
			cpu);
	if (is_of_waiting(profile))
		return cp_fail(err, -ENODATA,
			       "the profile holds no time spent waiting; check that the pid is the "
			       "process meant and not its parent, and that the recording was long "
			       "enough (-d)");
	return cp_fail(
		err, -ENODATA,
		"the profile holds no samples; check that the target was busy (a waiting "
		"thread uses no CPU), that the pid is the process that does the work and not "
		"its parent, and that the recording was long enough (-d) for the rate (-F)");
}

int measure_choose(const struct profile *profile, struct measure *out, struct cp_err *err)
{
	if (profile->n_samples == 0 || profile->n_value_types == 0)
		return fail_empty(profile, err);
	struct measure measure = {
		.column = -1,
		.cpu_column = time_column(profile, "cpu"),
		.count_column = profile_value_column(profile, "samples"),
	};
	for (size_t i = 0; i < N_TIMES && measure.column < 0; i++) {
		measure.column = time_column(profile, times[i].type);
		measure.time = measure.column >= 0 ? times[i].time : NULL;
	}
	if (measure.column < 0) {
		measure.column = measure.count_column;
		measure.counts_samples = measure.column >= 0;
	}
	if (measure.column < 0)
		measure.column = (int)profile->n_value_types - 1;
	const struct profile_value_type *type = &profile->value_types[measure.column];
	measure.type = profile_text(profile, type->type);
	measure.unit = profile_text(profile, type->unit);

	int64_t all = 0;
	for (size_t i = 0; i < profile->n_samples; i++)
		all = amount_sum(all, measure_of_sample(&measure, profile, i).value);
	if (all <= 0)
		return fail_empty(profile, err);
	*out = measure;
	return 0;
}

struct amount measure_of_sample(const struct measure *measure, const struct profile *profile,
				size_t sample)
{
	const int64_t *values = &profile->values[sample * profile->n_value_types];
	return (struct amount){
		.value = values[measure->column],
		.cpu_ns = measure->cpu_column >= 0 ? values[measure->cpu_column] : 0,
		.count = measure->count_column >= 0 ? values[measure->count_column] : 0,
	};
}

bool measure_is_time(const struct measure *measure)
{
	return strcmp(measure->unit, "nanoseconds") == 0;
}

bool measure_is_bytes(const struct measure *measure)
{
	return strcmp(measure->unit, "bytes") == 0;
}
