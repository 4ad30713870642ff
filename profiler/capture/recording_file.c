#include "recording_file.h"

#include "clock.h"
#include "live_header.h"
#include "off_cpu_header.h"
#include "profile/header_keys.h"
#include "wall_header.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/*
 * Compacting takes a child 1 to 4 us and 400 bytes of memory per sample. So many are a second or
 * two, every four minutes at most when two threads run at 1 kHz. A file in which so little can be
 * merged that it is beyond the most afterwards is left to grow: its stacks are all different.
 */
#define SAMPLES_LIMIT 500000ULL
#define SAMPLES_LIMIT_MOST 1500000ULL

/* Nothing is written meanwhile. */
#define COMPACTING_MAX_NS (30 * CLOCK_NS_PER_S)

static uint64_t own_cpu_ns(void)
{
	return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int set_number(struct profile *profile, const char *key, uint64_t value)
{
	return profile_header_setf(profile, key, "%" PRIu64, value);
}

static bool is_off_cpu(const struct recording_facts *facts)
{
	return strcmp(facts->mode, "offcpu") == 0;
}

static const char *event_of(const struct recording_facts *facts)
{
	if (facts->max_pause_ns)
		return "";
	if (facts->switches)
		return "context-switches";
	return facts->hardware ? "cycles" : "cpu-clock";
}

/* Keys with their values, until the first failure: out of memory is all there is. */
static int set_facts(struct profile *profile, const struct recording_facts *facts)
{
	struct utsname system;
	char pids[512] = "";
	for (size_t i = 0, n = 0; i < facts->n_pids && n < sizeof(pids) - 12; i++)
		n += (size_t)snprintf(pids + n, sizeof(pids) - n, "%s%d", i ? "," : "",
				      facts->pids[i]);
	const struct {
		const char *key, *value;
	} texts[] = {
		{HEADER_CPROF_VERSION, CPROF_VERSION},
		{HEADER_STATE, "recording"},
		{HEADER_COMMAND, facts->command},
		{HEADER_PIDS, pids},
		{HEADER_ENGINE, facts->engine},
		{HEADER_EVENT, event_of(facts)},
		{HEADER_OFF_CPU_DURATIONS, !is_off_cpu(facts) ? ""
					   : facts->switches  ? HEADER_OFF_CPU_EXACT
							      : HEADER_OFF_CPU_SAMPLED},
		{HEADER_SYSTEM_WIDE, facts->system_wide ? "yes" : ""},
		{HEADER_MODE, facts->mode},
		{HEADER_UNWIND, facts->libunwind ? "libunwind" : "auto"},
		{HEADER_KERNEL_RELEASE, uname(&system) == 0 ? system.release : ""},
		{HEADER_KERNEL, facts->kernel},
	};
	int code = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && code == 0; i++) {
		if (*texts[i].value)
			code = profile_header_set(profile, texts[i].key, texts[i].value);
	}
	if (code == 0)
		code = set_number(profile, HEADER_RATE_HZ, facts->rate_hz);
	if (code == 0)
		code = set_number(profile, HEADER_CPUS, facts->n_cpus);
	if (code == 0 && facts->max_pause_ns)
		code = live_header_set_limits(profile, facts->max_overhead, facts->max_pause_ns);
	return code;
}

int recording_file_open(struct recording_file *file, const char *path,
			const struct recording_facts *facts, struct cp_err *err)
{
	*file = (struct recording_file){
		.path = path,
		.samples_limit = SAMPLES_LIMIT,
		.recorder_cpu_start_ns = own_cpu_ns(),
	};
	if (profile_create(&file->profile) < 0)
		return cp_fail_nomem(err);
	struct profile *profile = file->profile;
	int code = profile_add_value_type(profile, "samples", "count");
	if (code == 0)
		code = profile_add_value_type(profile, is_off_cpu(facts) ? "off_cpu" : facts->mode,
					      "nanoseconds");
	if (code == 0)
		code = set_facts(profile, facts);
	if (code < 0) {
		recording_file_close(file);
		return cp_fail_nomem(err);
	}
	profile->period_type = profile->value_types[1];
	profile->period = (int64_t)(CLOCK_NS_PER_S / facts->rate_hz);
	profile->start_ns = (int64_t)clock_read_ns(CLOCK_REALTIME);
	return 0;
}

int recording_file_create(struct recording_file *file, struct cp_err *err)
{
	struct stat before;
	file->replaced = stat(file->path, &before) == 0;
	return pprof_writer_create(file->path, &file->writer, err);
}

void recording_file_discard(struct recording_file *file)
{
	char old[PATH_MAX + 8];
	struct stat now;
	if (!file->writer || stat(file->path, &now) < 0 || !S_ISREG(now.st_mode) || now.st_size > 0)
		return;
	snprintf(old, sizeof(old), "%s.old", file->path);
	if (!file->replaced || rename(old, file->path) < 0)
		unlink(file->path);
}

void recording_file_close(struct recording_file *file)
{
	pprof_writer_destroy(file->writer);
	profile_destroy(file->profile);
	memset(file, 0, sizeof(*file));
}

static int set_stops(struct profile *profile, const struct sample_counts *counts)
{
	int code = 0;
	for (int stop = 0; stop < CP_STOP_COUNT && code == 0; stop++) {
		char key[64];
		snprintf(key, sizeof(key), HEADER_STOP_PREFIX "%s",
			 cp_stop_name((enum cp_stop)stop));
		code = set_number(profile, key, counts->stops[stop]);
	}
	return code;
}

static int set_join_failures(struct profile *profile, const struct stack_join_counts *joins)
{
	int code = 0;
	for (int i = 0; i < STACK_JOIN_FAILURES && code == 0; i++) {
		char key[64];
		snprintf(key, sizeof(key), HEADER_JOIN_FAILED_PREFIX "%s",
			 stack_join_failure_name((enum stack_join_failure)i));
		code = set_number(profile, key, joins->failed[i]);
	}
	return code;
}

struct number {
	const char *key;
	uint64_t value;
	bool absent;
};

static int set_numbers(struct profile *profile, const struct number *numbers, size_t n)
{
	int code = 0;
	for (size_t i = 0; i < n && code == 0; i++) {
		if (!numbers[i].absent)
			code = set_number(profile, numbers[i].key, numbers[i].value);
	}
	return code;
}

/* What was sampled, and how. */
static int set_sampled(struct profile *profile, const struct recording_counts *counts)
{
	const struct sample_counts *samples = counts->samples;
	const struct stack_join_counts *joins = &samples->joins;
	const bool no_dumps = counts->off_cpu != NULL;
	const struct number numbers[] = {
		{HEADER_SAMPLES, samples->samples, false},
		{HEADER_PROCESSES, samples->processes, false},
		{HEADER_THREADS, samples->threads, false},
		{HEADER_LOST, counts->lost, false},
		{HEADER_THROTTLED, counts->throttled, false},
		{HEADER_UNTRACKED, counts->untracked, false},
		{HEADER_FRAMES, samples->user_frames, false},
		{HEADER_FP_FRAMES, samples->fp_frames, false},
		{HEADER_LIBUNWIND_STACKS, samples->libunwind_stacks, false},
		{HEADER_JOINED_MEMORY, joins->joined[CP_JOINED_MEMORY], false},
		{HEADER_JOINED_CALLCHAIN, joins->joined[CP_JOINED_CALLCHAIN], false},
		{HEADER_JOINED_FRAME_POINTERS, joins->joined[CP_JOINED_FRAME_POINTERS], false},
		{HEADER_LEFT_COPY, samples->left_copy, false},
		{HEADER_OMITTED_FRAMES, samples->omitted_frames, false},
		{HEADER_DUMP_BYTES, counts->dump_bytes, no_dumps},
		{HEADER_DUMP_BYTES_MIN, dump_rung_bytes(counts->dump->smallest), no_dumps},
		{HEADER_DUMP_BYTES_MAX, dump_rung_bytes(counts->dump->largest), no_dumps},
		{HEADER_DUMP_CHANGES, counts->dump->n_changes, no_dumps},
		{HEADER_DUMP_PRESSED, counts->dump->n_pressed, no_dumps},
		{HEADER_TIME_QUANTUM_NS, counts->quantum_ns, counts->quantum_ns == 0},
		{HEADER_TIME_START_NS, counts->start_ns, counts->quantum_ns == 0},
		{HEADER_TARGET_USER_NS, counts->target_cpu.user_ns, !counts->target_cpu_known},
		{HEADER_TARGET_SYSTEM_NS, counts->target_cpu.system_ns, !counts->target_cpu_known},
		{HEADER_UNWIND_TABLES_BYTES, counts->unwind_tables_bytes, false},
		{HEADER_UNWIND_TABLES_SKIPPED, counts->unwind_tables_skipped, false},
	};
	const int code = set_numbers(profile, numbers, sizeof(numbers) / sizeof(numbers[0]));
	return code < 0 ? code : set_join_failures(profile, joins);
}

/* What the recorder itself has used. */
static int set_own_use(struct recording_file *file)
{
	struct rusage usage;
	uint64_t peak_rss_kb = getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss : 0;
	uint64_t peak_rss_bytes = peak_rss_kb << 10;
	uint64_t cpu_ns = own_cpu_ns() - file->recorder_cpu_start_ns;
	/* the child that compacts shares most of our memory, so it is not added */
	if (pprof_writer_helper_peak_rss_bytes(file->writer) > peak_rss_bytes)
		peak_rss_bytes = pprof_writer_helper_peak_rss_bytes(file->writer);
	cpu_ns += pprof_writer_helper_cpu_ns(file->writer);
	const struct number numbers[] = {
		{HEADER_RECORDER_CPU_NS, cpu_ns, false},
		{HEADER_RECORDER_PEAK_RSS_BYTES, peak_rss_bytes, peak_rss_kb == 0},
	};
	return set_numbers(file->profile, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

static int set_counts(struct recording_file *file, const struct recording_counts *counts)
{
	struct profile *profile = file->profile;
	int code = set_stops(profile, counts->samples);
	if (code == 0 && counts->live)
		code = live_header_set(profile, counts->live);
	if (code == 0 && counts->off_cpu)
		code = off_cpu_header_set(profile, counts->off_cpu);
	if (code == 0 && counts->wall)
		code = wall_header_set(profile, counts->wall, counts->duration_ns);
	if (code == 0)
		code = set_sampled(profile, counts);
	if (code == 0)
		code = set_own_use(file);
	if (code == 0)
		code = profile_header_set(profile, HEADER_LOST_SCOPE,
					  counts->lost_of_cpus ? HEADER_LOST_SCOPE_CPUS
							       : HEADER_LOST_SCOPE_TARGET);
	if (code == 0 && counts->buffers_limited)
		code = profile_header_set(profile, HEADER_BUFFERS_LIMITED, "mlock");
	if (code == 0 && *counts->runtimes)
		code = profile_header_set(profile, HEADER_RUNTIMES, counts->runtimes);
	if (code == 0)
		code = profile_header_set(profile, HEADER_STATE,
					  counts->complete ? "complete" : "recording");
	profile->duration_ns = (int64_t)counts->duration_ns;
	return code;
}

int recording_file_flush(struct recording_file *file, const struct recording_counts *counts,
			 struct cp_err *err)
{
	if (pprof_writer_is_compacting(file->writer))
		pprof_writer_compact_stop(file->writer);
	if (set_counts(file, counts) < 0)
		return cp_fail_nomem(err);
	int code = pprof_writer_flush(file->writer, file->profile, err);
	if (code == 0)
		profile_clear_samples(file->profile);
	return code;
}

/* Where little could be merged, or nothing could be written, try again much later. */
static void set_limit(struct recording_file *file)
{
	uint64_t samples = pprof_writer_samples(file->writer);
	file->samples_limit = samples > SAMPLES_LIMIT / 2 ? 2 * samples : SAMPLES_LIMIT;
	if (file->samples_limit > SAMPLES_LIMIT_MOST)
		file->samples_limit = UINT64_MAX;
}

void recording_file_bound(struct recording_file *file, uint64_t quantum_ns)
{
	enum { COARSER = 4 };
	if (pprof_writer_samples(file->writer) < file->samples_limit)
		return;
	file->coarser_ns = quantum_ns * COARSER;
	file->compacting_since_ns = clock_now_ns();
	if (pprof_writer_compact_begin(file->writer, file->profile, (int64_t)file->coarser_ns,
				       NULL) < 0)
		set_limit(file);
}

bool recording_file_is_busy(struct recording_file *file, uint64_t *quantum_ns)
{
	if (!pprof_writer_is_compacting(file->writer))
		return false;
	int code = pprof_writer_compact_poll(file->writer, false, NULL);
	if (code == 0 && clock_now_ns() - file->compacting_since_ns < COMPACTING_MAX_NS)
		return true;
	if (code == 0)
		pprof_writer_compact_stop(file->writer);
	if (code > 0)
		*quantum_ns = file->coarser_ns;
	set_limit(file);
	return false;
}
