#include "recorder.h"

#include "clock.h"
#include "dump_size.h"
#include "live_programs.h"
#include "procfs.h"
#include "session.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#define FLUSH_INTERVAL_NS CLOCK_NS_PER_S
#define SWEEP_INTERVAL_NS CLOCK_NS_PER_S
#define PROGRESS_INTERVAL_NS (CLOCK_NS_PER_S / 5)
#define DRAIN_INTERVAL_NS (CLOCK_NS_PER_S / 100)
#define POLL_INTERVAL_NS (CLOCK_NS_PER_S / 10)

/*
 * A stack that was cut is completed from what memory holds when its sample is read. Dumps of 64 KB
 * wake the reader every 16 samples, and in 16 ms much changes: so while there are such stacks, it
 * comes as soon as records may be taken.
 */
#define PROMPT_INTERVAL_NS (CLOCK_NS_PER_S / 1000)
#define PROMPT_HOLD_NS (CLOCK_NS_PER_S / 50)

/* A record may still be on its way into its ring when a later one of another CPU is there already.
 */
#define REORDER_WINDOW_NS 1000000ULL

struct recorder {
	struct session s;
	uint64_t start_ns, end_ns; /* end_ns: when to stop at the latest */
	uint64_t next_flush_ns, next_sweep_ns, next_progress_ns;
	uint64_t drained_ns;    /* records up to then have been applied */
	uint64_t next_drain_ns; /* where rounds wake the recorder more often than is needed */
	uint64_t prompt_until_ns, urgent_seen;
	unsigned n_asking; /* sweeps that are to ask the kernel, as records were lost */
	bool stop_asked;
	struct cpu_time cpu; /* used by the recorded processes */
	bool cpu_known;
	struct dump_size dump;
	uint64_t lost_seen;
	const sigset_t *wait_signals; /* blocked while waiting; NULL = as they are */
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
			process->held = r->s.has_command && !r->s.by_ptrace;
		}
	}
	return 0;
}

/* Nothing is held back: what happened before the first look is in no sample. */
static int begin_live(struct recorder *r, struct cp_err *err)
{
	struct session *s = &r->s;
	const struct recorder_options *options = s->options;
	const pid_t *pids = s->has_command ? &s->command.pid : options->pids;
	const size_t n = s->has_command ? 1 : options->n_pids;
	int code = 0;
	if (s->has_command)
		code = command_release(&s->command, options->argv[0], err);
	if (code == 0)
		code = scan_targets(r, err);
	if (code == 0)
		code = live_recorder_begin(&s->live, pids, n, s->has_command, err);
	return code;
}

/* No timer of the kernel misses what happened before it was read from /proc. */
static int begin_perf(struct recorder *r, struct cp_err *err)
{
	struct session *s = &r->s;
	if (!s->events.setup.enable_on_exec)
		perf_events_enable(&s->events);
	/* after that, so that no thread and no mapping falls between the records and /proc */
	int code = scan_targets(r, err);
	if (s->tells_switches)
		off_cpu_add_all(&s->off_cpu);
	if (code == 0 && s->has_command)
		code = command_release(&s->command, s->options->argv[0], err);
	return code;
}

/* Let the samples come. */
static int begin(struct recorder *r, struct cp_err *err)
{
	r->start_ns = clock_now_ns();
	r->s.sink.start_ns = r->start_ns;
	r->s.off_cpu.start_ns = r->start_ns;
	/* a stop copies into memory of ours, which no number of samples fills */
	const size_t ring_bytes = r->s.by_ptrace ? SIZE_MAX : r->s.events.ring_bytes;
	dump_size_init(&r->dump, dump_limits_for(r->s.events.setup.rate_hz, ring_bytes));
	targets_begin(&r->s.targets, !r->s.options->no_inherit);
	int code = r->s.by_ptrace ? begin_live(r, err) : begin_perf(r, err);
	uint64_t duration_ns = r->s.options->duration_ns;
	r->end_ns = duration_ns ? r->start_ns + duration_ns : UINT64_MAX;
	r->next_flush_ns = r->start_ns + FLUSH_INTERVAL_NS;
	r->next_sweep_ns = r->start_ns + SWEEP_INTERVAL_NS;
	r->next_progress_ns = r->start_ns + PROGRESS_INTERVAL_NS;
	return code;
}

static void drain(struct recorder *r, uint64_t horizon_ns)
{
	r->drained_ns = horizon_ns;
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
 * The same for copies that are made in stops: where stops are too long, none that are larger than
 * usual. A usual one takes 1 us or 2 of a stop's 20.
 */
static void adapt_copies(struct recorder *r)
{
	const bool press =
		overhead_wants_smaller(&r->s.live.overhead) && r->dump.rung > r->dump.limits.start;
	const struct dump_look look = {
		.use = &r->s.sink.dumps,
		.fill_bytes = press ? SIZE_MAX : 0,
		.ring_bytes = SIZE_MAX,
		.now_ns = clock_now_ns(),
	};
	dump_size_look(&r->dump, &look);
	r->s.events.setup.dump_bytes = dump_rung_bytes(r->dump.rung);
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
	bool exact = events && !r->s.by_ptrace && r->s.events.setup.follow != PERF_FOLLOW_NONE &&
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
		.wall = r->s.samples_wall ? &r->s.wall : NULL,
		.off_cpu = r->s.tells_switches ? &r->s.off_cpu : NULL,
		.untracked =
			counts->untracked + r->s.live.counts.changed + r->s.live.counts.untracked,
		.live = r->s.by_ptrace ? &r->s.live : NULL,
		.duration_ns = now_ns - r->start_ns,
		.quantum_ns = r->s.sink.quantum_ns,
		.start_ns = r->start_ns,
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
	if (r->s.by_ptrace)
		live_programs_check_code(&r->s.live.threads);
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
	if (r->s.tells_switches)
		off_cpu_flush(&r->s.off_cpu, r->drained_ns, false);
	int code = flush(r, false, now_ns, err);
	if (code < 0)
		return code;
	forget_threads(r);
	recording_file_bound(&r->s.file, r->s.sink.quantum_ns);
	return 0;
}

static bool samples_wall(const struct recorder *r)
{
	return r->s.samples_wall;
}

static int wait_ms(const struct recorder *r)
{
	const uint64_t now_ns = clock_now_ns();
	const bool prompt = now_ns < r->prompt_until_ns;
	uint64_t until_ns = now_ns + (prompt ? PROMPT_INTERVAL_NS : POLL_INTERVAL_NS);
	if (until_ns > r->end_ns)
		until_ns = r->end_ns;
	if (until_ns > r->next_flush_ns)
		until_ns = r->next_flush_ns;
	if (samples_wall(r) && until_ns > wall_due_ns(&r->s.wall))
		until_ns = wall_due_ns(&r->s.wall);
	if (r->s.tells_switches && until_ns > off_cpu_due_ns(&r->s.off_cpu))
		until_ns = off_cpu_due_ns(&r->s.off_cpu);
	return until_ns > now_ns ? (int)((until_ns - now_ns + 999999) / 1000000) : 0;
}

static void target_ended(struct recorder *r, struct target *target)
{
	if (target->pidfd >= 0) /* it stays readable */
		epoll_ctl(r->s.epoll_fd, EPOLL_CTL_DEL, target->pidfd, NULL);
	targets_end(&r->s.targets, target);
}

/*
 * Where something is ready at once, waiting has let in no signal: the mask is put back before any
 * is delivered (fs/eventpoll.c). So Ctrl-Z would wait for a moment with nothing to do.
 */
static void let_signals_in(const struct recorder *r)
{
	sigset_t before;
	if (!r->wait_signals)
		return;
	pthread_sigmask(SIG_SETMASK, r->wait_signals, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void wait_for_something(struct recorder *r)
{
	struct epoll_event events[64];
	/* a thread that is late may stand still at any moment: no stop of ours is let in then */
	const bool has_late = r->s.by_ptrace && thread_stopper_has_late(&r->s.live.stopper);
	int n = epoll_pwait(r->s.epoll_fd, events, 64, wait_ms(r),
			    has_late ? NULL : r->wait_signals);
	if (n > 0 && !has_late)
		let_signals_in(r);
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

static void work_perf(struct recorder *r)
{
	drain(r, clock_now_ns() - REORDER_WINDOW_NS);
	adapt_dumps(r);
	const uint64_t now_ns = clock_now_ns();
	const uint64_t urgent = stack_join_urgent(&r->s.sink.counts.joins);
	if (urgent != r->urgent_seen)
		r->prompt_until_ns = now_ns + PROMPT_HOLD_NS;
	r->urgent_seen = urgent;
	r->next_drain_ns =
		now_ns + (now_ns < r->prompt_until_ns ? PROMPT_INTERVAL_NS : DRAIN_INTERVAL_NS);
}

/* The records first: they say whose stacks are wanted. */
static void work_off_cpu(struct recorder *r)
{
	drain(r, clock_now_ns() - REORDER_WINDOW_NS);
	if (clock_now_ns() >= off_cpu_due_ns(&r->s.off_cpu))
		off_cpu_round(&r->s.off_cpu);
}

static int work_live(struct recorder *r, struct cp_err *err)
{
	adapt_copies(r);
	if (live_recorder_work(&r->s.live, r->s.events.setup.dump_bytes) < 0)
		return cp_fail_nomem(err);
	return 0;
}

static int record(struct recorder *r, struct cp_err *err)
{
	int code = 0;
	while (code == 0 && !r->stop_asked && !targets_all_ended(&r->s.targets) &&
	       clock_now_ns() < r->end_ns) {
		wait_for_something(r);
		if (r->s.by_ptrace)
			code = work_live(r, err);
		else if (r->s.tells_switches)
			work_off_cpu(r);
		else if (!samples_wall(r) || clock_now_ns() >= r->next_drain_ns)
			work_perf(r);
		if (samples_wall(r) && clock_now_ns() >= wall_due_ns(&r->s.wall))
			wall_round(&r->s.wall, clock_now_ns());
		if (code == 0)
			code = tick(r, err);
	}
	return code;
}

/* Take what is left in the rings, and close the file unless writing it is what failed. */
static int end(struct recorder *r, int code, struct recorder_result *result, struct cp_err *err)
{
	struct session *s = &r->s;
	struct perf_count final;
	if (s->tells_switches && !targets_all_ended(&s->targets))
		off_cpu_finish(&s->off_cpu);
	perf_events_disable(&s->events);
	uint64_t now_ns = clock_now_ns();
	drain(r, UINT64_MAX);
	if (samples_wall(r))
		wall_finish(&s->wall, now_ns);
	if (s->tells_switches)
		off_cpu_flush(&s->off_cpu, now_ns, true);
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

/* From the first sample to the last. */
struct run {
	struct recorder *recorder;
	struct cp_err *err;
	int code;
	bool begun;
};

static void *run(void *arg)
{
	struct run *run = arg;
	run->code = begin(run->recorder, run->err);
	run->begun = run->code == 0;
	if (run->begun)
		run->code = record(run->recorder, run->err);
	if (run->recorder->s.by_ptrace)
		live_recorder_finish(&run->recorder->s.live);
	return NULL;
}

/*
 * In a thread of its own: whatever is still traced when that ends is let go by the kernel. So it
 * does nothing else any more when the recording is over.
 * SIGCHLD is taken where a stop is waited for, and what Ctrl-Z sends between two samples.
 */
static void run_live(struct run *arg)
{
	static const int held[] = {SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t before, blocked, waiting;
	pthread_t thread;
	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		sigaddset(&blocked, held[i]);
	/* our parent may have ignored it, and then no stop would be told */
	signal(SIGCHLD, SIG_DFL);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	waiting = before;
	sigaddset(&waiting, SIGCHLD);
	arg->recorder->wait_signals = &waiting;
	const int code = pthread_create(&thread, NULL, run, arg);
	if (code == 0)
		pthread_join(thread, NULL);
	else
		arg->code = cp_fail(arg->err, -code, "cannot start a thread: %s", strerror(code));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int recorder_run(const struct recorder_options *options, struct recorder_result *result,
		 struct cp_err *err)
{
	struct recorder r = {0};
	struct session *s = &r.s;
	int code = session_open(s, options, err);
	if (code == 0) {
		struct run all = {.recorder = &r, .err = err};
		if (s->by_ptrace)
			run_live(&all);
		else
			run(&all);
		code = all.begun ? end(&r, all.code, result, err) : all.code;
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
