#include "recorder.h"

#include "clock.h"
#include "dump_size.h"
#include "procfs.h"
#include "session.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define FLUSH_INTERVAL_NS CLOCK_NS_PER_S
#define SWEEP_INTERVAL_NS CLOCK_NS_PER_S
#define PROGRESS_INTERVAL_NS (CLOCK_NS_PER_S / 5)
#define POLL_INTERVAL_NS (CLOCK_NS_PER_S / 10)

/* A record may still be on its way into its ring when a later one of another CPU is there already.
 */
#define REORDER_WINDOW_NS 1000000ULL

struct recorder {
	struct session s;
	uint64_t start_ns, end_ns; /* end_ns: when to stop at the latest */
	uint64_t next_flush_ns, next_sweep_ns, next_progress_ns;
	unsigned n_asking; /* sweeps that are to ask the kernel, as records were lost */
	bool stop_asked;
	struct cpu_time cpu; /* used by the recorded processes */
	bool cpu_known;
	struct dump_size dump;
	uint64_t lost_seen;
};

/* Names and mappings of the targets as they are now. */
static int scan_targets(struct recorder *r, struct cp_err *err)
{
	if (r->s.options->system_wide)
		return processes_scan_all(r->s.processes, err);
	for (size_t i = 0; i < r->s.targets.n; i++) {
		pid_t pid = r->s.targets.items[i].pid;
		int code = processes_scan(r->s.processes, pid, err);
		if (code < 0 && code != -ESRCH) /* ended already: its records tell what there was */
			return code;
		struct process *process = processes_find(r->s.processes, pid);
		if (process) {
			process->is_target = true;
			process->held = r->s.has_command;
		}
	}
	return 0;
}

/* Let the samples come. */
static int begin(struct recorder *r, struct cp_err *err)
{
	r->start_ns = clock_now_ns();
	r->s.sink.start_ns = r->start_ns;
	dump_size_init(&r->dump,
		       dump_limits_for(r->s.events.setup.rate_hz, r->s.events.ring_bytes));
	targets_begin(&r->s.targets, !r->s.options->no_inherit);
	if (!r->s.events.setup.enable_on_exec)
		perf_events_enable(&r->s.events);
	/* after that, so that no thread and no mapping falls between the records and /proc */
	int code = scan_targets(r, err);
	if (code == 0 && r->s.has_command)
		code = command_release(&r->s.command, r->s.options->argv[0], err);
	uint64_t duration_ns = r->s.options->duration_ns;
	r->end_ns = duration_ns ? r->start_ns + duration_ns : UINT64_MAX;
	r->next_flush_ns = r->start_ns + FLUSH_INTERVAL_NS;
	r->next_sweep_ns = r->start_ns + SWEEP_INTERVAL_NS;
	r->next_progress_ns = r->start_ns + PROGRESS_INTERVAL_NS;
	return code;
}

static void drain(struct recorder *r, uint64_t horizon_ns)
{
	r->s.dispatch.counts.untracked +=
		perf_rings_drain(r->s.events.rings, r->s.events.n_rings, horizon_ns, r->s.scratch,
				 dispatch_record, &r->s.dispatch);
}

/* Have as much copied with each sample as is worth it, after a look at what came of it so far. */
static void adapt_dumps(struct recorder *r)
{
	struct perf_events *events = &r->s.events;
	unsigned before = r->dump.rung;
	struct dump_look look = {
		.use = &r->s.sink.dumps,
		.lost = r->s.dispatch.counts.lost - r->lost_seen,
		.ring_bytes = events->ring_bytes,
		.now_ns = clock_now_ns(),
	};
	r->lost_seen = r->s.dispatch.counts.lost;
	for (size_t i = 0; i < events->n_rings; i++) {
		if (events->rings[i].fill_bytes > look.fill_bytes)
			look.fill_bytes = events->rings[i].fill_bytes;
	}
	if (dump_size_look(&r->dump, &look) &&
	    perf_events_set_dump(events, dump_rung_bytes(r->dump.rung)) < 0)
		dump_size_refuse(&r->dump, before);
	/* without them those stacks stay truncated */
	if (r->s.sink.wants_user_chain)
		perf_events_add_user_chain(events);
	r->s.sink.wants_user_chain = false;
}

/*
 * CPU time of what is recorded. The events measure it exactly, for all processes that were
 * followed, ended ones too; /proc gives clock ticks, and of ended processes what was seen last.
 * So the ticks only divide the total into user and system time, unless the events saw more than
 * the recorded processes, or some of them twice.
 *
 * @events: what they counted, at the end; NULL while recording
 */
static void update_cpu_time(struct recorder *r, const struct perf_count *events)
{
	const struct sample_counts *samples = &r->s.sink.counts;
	struct cpu_time ticks;
	targets_update(&r->s.targets);
	bool known = targets_cpu_time(&r->s.targets, &ticks);
	bool exact = events && r->s.events.setup.follow != PERF_FOLLOW_NONE &&
		     r->s.dispatch.counts.duplicates == 0;
	if (events && !exact && !r->s.options->no_inherit && !r->s.options->system_wide)
		processes_add_cpu_time(r->s.processes, &ticks);
	if (exact && ticks.user_ns + ticks.system_ns == 0) {
		/* shorter than a tick: as the samples say */
		ticks.user_ns = samples->samples - samples->in_kernel;
		ticks.system_ns = samples->in_kernel;
	}
	r->cpu = events && exact ? cpu_time_divide(events->running_ns, ticks) : ticks;
	r->cpu_known = exact || known;
}

/* Records do not say whose they were when they are lost. */
static bool loses_for_others(const struct recorder *r)
{
	return r->s.events.setup.follow == PERF_FOLLOW_NONE && !r->s.options->system_wide;
}

static int flush(struct recorder *r, bool complete, uint64_t now_ns, struct cp_err *err)
{
	const struct dispatch_counts *counts = &r->s.dispatch.counts;
	char runtimes[64];
	struct recording_counts all = {
		.samples = &r->s.sink.counts,
		.lost = counts->lost,
		.lost_of_cpus = loses_for_others(r),
		.buffers_limited = r->s.events.mlock_limited,
		.throttled = counts->throttled,
		.untracked = counts->untracked,
		.duration_ns = now_ns - r->start_ns,
		.quantum_ns = r->s.sink.quantum_ns,
		.dump_bytes = r->s.events.setup.dump_bytes,
		.dump = &r->dump,
		.unwind_tables_bytes = image_store_size_bytes(r->s.processes->images),
		.unwind_tables_skipped = image_store_skipped(r->s.processes->images),
		.runtimes = modules_runtimes(&r->s.sink.modules, runtimes, sizeof(runtimes)),
		.complete = complete,
		.target_cpu = r->cpu,
		.target_cpu_known = r->cpu_known,
	};
	return recording_file_flush(&r->s.file, &all, err);
}

static void report_progress(struct recorder *r, uint64_t now_ns)
{
	if (!r->s.options->progress)
		return;
	struct recorder_progress progress = {
		.elapsed_ns = now_ns - r->start_ns,
		.samples = r->s.sink.counts.samples,
		.lost = r->s.dispatch.counts.lost,
		.lost_of_cpus = loses_for_others(r),
		.file_bytes = pprof_writer_size_bytes(r->s.file.writer),
	};
	r->s.options->progress(r->s.options->progress_ctx, &progress);
}

/* The samples are in the file. The threads they were of may be gone for good, thousands of them. */
static void forget_threads(struct recorder *r)
{
	enum { THREADS_MANY = 4096 };
	if (r->s.file.profile->n_threads < THREADS_MANY)
		return;
	profile_clear_threads(r->s.file.profile);
	processes_forget_labels(r->s.processes);
}

static void sweep(struct recorder *r)
{
	struct dispatch *dispatch = &r->s.dispatch;
	/* what was just ending, or being born, at the first look is found by the second */
	if (dispatch->lost_since_sweep)
		r->n_asking = 2;
	dispatch->lost_since_sweep = false;
	if (r->n_asking > 0 && dispatch->known_only && dispatch->follow_children)
		processes_find_children(r->s.processes, r->start_ns);
	processes_sweep(r->s.processes, r->n_asking > 0);
	r->n_asking -= r->n_asking > 0;
}

/* What is due by the clock. */
static int tick(struct recorder *r, struct cp_err *err)
{
	uint64_t now_ns = clock_now_ns();
	if (now_ns >= r->next_progress_ns) {
		report_progress(r, now_ns);
		r->next_progress_ns = now_ns + PROGRESS_INTERVAL_NS;
	}
	if (now_ns >= r->next_sweep_ns) {
		sweep(r);
		r->next_sweep_ns = now_ns + SWEEP_INTERVAL_NS;
	}
	if (now_ns < r->next_flush_ns)
		return 0;
	if (recording_file_is_busy(&r->s.file, &r->s.sink.quantum_ns)) {
		r->next_flush_ns = now_ns + POLL_INTERVAL_NS;
		return 0;
	}
	r->next_flush_ns = now_ns + FLUSH_INTERVAL_NS;
	update_cpu_time(r, NULL);
	int code = flush(r, false, now_ns, err);
	if (code < 0)
		return code;
	forget_threads(r);
	recording_file_bound(&r->s.file, r->s.sink.quantum_ns);
	return 0;
}

static int wait_ms(const struct recorder *r)
{
	uint64_t now_ns = clock_now_ns(), until_ns = now_ns + POLL_INTERVAL_NS;
	if (until_ns > r->end_ns)
		until_ns = r->end_ns;
	if (until_ns > r->next_flush_ns)
		until_ns = r->next_flush_ns;
	return until_ns > now_ns ? (int)((until_ns - now_ns + 999999) / 1000000) : 0;
}

static void target_ended(struct recorder *r, struct target *target)
{
	if (target->pidfd >= 0) /* it stays readable */
		epoll_ctl(r->s.epoll_fd, EPOLL_CTL_DEL, target->pidfd, NULL);
	targets_end(&r->s.targets, target);
}

static void wait_for_something(struct recorder *r)
{
	struct epoll_event events[64];
	int n = epoll_wait(r->s.epoll_fd, events, 64, wait_ms(r));
	for (int i = 0; i < n; i++) {
		int what = events[i].data.fd;
		if (what == SESSION_WAIT_STOP)
			r->stop_asked = true;
		else if (what >= 0)
			target_ended(r, &r->s.targets.items[what]);
	}
	for (size_t i = 0; i < r->s.targets.n; i++) {
		struct target *target = &r->s.targets.items[i];
		if (target->pidfd < 0 && procfs_has_ended(target->pid))
			target_ended(r, target);
	}
}

static int record(struct recorder *r, struct cp_err *err)
{
	int code = 0;
	while (code == 0 && !r->stop_asked && !targets_all_ended(&r->s.targets) &&
	       clock_now_ns() < r->end_ns) {
		wait_for_something(r);
		drain(r, clock_now_ns() - REORDER_WINDOW_NS);
		adapt_dumps(r);
		code = tick(r, err);
	}
	return code;
}

/* Take what is left in the rings, and close the file unless writing it is what failed. */
static int end(struct recorder *r, int code, struct recorder_result *result, struct cp_err *err)
{
	struct session *s = &r->s;
	struct perf_count final;
	perf_events_disable(&s->events);
	uint64_t now_ns = clock_now_ns();
	drain(r, UINT64_MAX);
	perf_events_count(&s->events, &final);
	update_cpu_time(r, &final);
	/* the last losses are announced by the next record, which never came */
	if (final.lost > s->dispatch.counts.lost)
		s->dispatch.counts.lost = final.lost;
	if (code == 0)
		code = flush(r, true, now_ns, err);
	*result = (struct recorder_result){
		.samples = s->sink.counts.samples,
		.lost = s->dispatch.counts.lost,
		.lost_of_cpus = loses_for_others(r),
		.duration_ns = now_ns - r->start_ns,
		.file_bytes = pprof_writer_size_bytes(s->file.writer),
		.target_ended = targets_all_ended(&s->targets),
	};
	if (r->cpu_known)
		result->target_cpu_ns = r->cpu.user_ns + r->cpu.system_ns;
	return code;
}

int recorder_run(const struct recorder_options *options, struct recorder_result *result,
		 struct cp_err *err)
{
	struct recorder r = {0};
	struct session *s = &r.s;
	int code = session_open(s, options, err);
	if (code == 0) {
		code = begin(&r, err);
		if (code == 0)
			code = end(&r, record(&r, err), result, err);
		if (code < 0) /* an empty file is no profile; one with content is kept */
			recording_file_discard(&s->file);
	}
	perf_events_close(&s->events);
	if (s->has_command && s->command.released) {
		command_wait(&s->command, options->stop_fd, r.stop_asked);
		result->wait_status = s->command.wait_status;
	}
	session_close(s);
	return code;
}
