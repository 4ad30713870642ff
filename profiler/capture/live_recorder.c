#include "live_recorder.h"

#include "base/array.h"
#include "base/stop.h"
#include "clock.h"
#include "live_programs.h"
#include "thread_look.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A late thread stands still until it is noticed. */
#define LATE_LOOK_NS UINT64_C(200000)

/*
 * A round asks no further thread to stop after so long. Waiting for one takes 80 ms at the most;
 * rounds would take that once for each CPU.
 */
#define ROUND_NS UINT64_C(50000000)

/* Threads that are late at the end are given so long. SIGINT promises 100 ms. */
#define FINISH_NS UINT64_C(20000000)

/*
 * Looking at a thread takes about 1 us. Rounds look for so long at the most, and see about the time
 * after so many looks.
 */
#define LOOKS_NS UINT64_C(1000000)
enum { LOOKS_AT_ONCE = 16 };

static unsigned usable_cpus(void)
{
	cpu_set_t set;
	/* machines with more than 1,024 CPUs get EINVAL */
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	const long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

/* xorshift64: only the distances of rounds and the choice among threads hang on it */
static uint64_t next_random(struct live_recorder *live)
{
	live->random ^= live->random << 13;
	live->random ^= live->random >> 7;
	live->random ^= live->random << 17;
	return live->random;
}

static void on_pause(void *ctx, uint64_t pause_ns)
{
	overhead_add_pause(ctx, pause_ns);
}

static bool is_asked_to_stop(void *ctx)
{
	const struct live_recorder *live = ctx;
	struct pollfd stop = {.fd = live->setup.stop_fd, .events = POLLIN};
	return live->setup.stop_fd >= 0 && poll(&stop, 1, 0) > 0;
}

int live_recorder_open(struct live_recorder *live, const struct live_setup *setup,
		       struct cp_err *err)
{
	*live = (struct live_recorder){
		.setup = *setup,
		.timer_fd = -1,
		.random = clock_now_ns() | 1,
		.threads = {.processes = setup->processes,
			    .follow_children = setup->follow_children,
			    .tells_all = setup->wall != NULL},
		.stopper = {.watchdog = &live->watchdog,
			    .own_child = setup->own_child,
			    .on_pause = on_pause,
			    .pause_ctx = &live->overhead,
			    .gives_up = is_asked_to_stop,
			    .gives_up_ctx = live},
	};
	live_threads_init(&live->threads);
	if (thread_stopper_init(&live->stopper) < 0)
		return cp_fail_nomem(err);
	live->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (live->timer_fd < 0)
		return cp_fail(err, -errno, "cannot make a timer: timerfd_create: %s",
			       strerror(errno));
	return 0;
}

void live_recorder_close(struct live_recorder *live)
{
	if (!live->stopper.bytes)
		return;
	watchdog_stop(&live->watchdog);
	if (live->timer_fd >= 0)
		close(live->timer_fd);
	live_threads_deinit(&live->threads);
	thread_stopper_deinit(&live->stopper);
	free(live->candidates);
	memset(live, 0, sizeof(*live));
	live->timer_fd = -1;
}

int live_recorder_guard(struct live_recorder *live, struct cp_err *err)
{
	return watchdog_start(&live->watchdog, err);
}

static void set_timer(struct live_recorder *live, uint64_t at_ns)
{
	const struct itimerspec timer = {.it_value = {.tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S),
						      .tv_nsec = (long)(at_ns % CLOCK_NS_PER_S)}};
	timerfd_settime(live->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

int live_recorder_begin(struct live_recorder *live, const pid_t *pids, size_t n, bool born_now,
			struct cp_err *err)
{
	const uint64_t now_ns = clock_now_ns();
	const struct overhead_limits limits = {
		.max_share = live->setup.max_share,
		.max_pause_ns = live->setup.max_pause_ns,
		.n_cpus = usable_cpus(),
		.interval_ns = CLOCK_NS_PER_S / live->setup.rate_hz,
	};
	/* timers of ours are late by 50 us else (prctl(2), PR_SET_TIMERSLACK) */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	favour_ask(&live->stopper.favour);
	overhead_init(&live->overhead, limits, now_ns, clock_read_ns(CLOCK_PROCESS_CPUTIME_ID));
	live->interval_ns = limits.interval_ns;
	live->round_ns = now_ns;
	live->next_ns = now_ns + live->interval_ns;
	for (size_t i = 0; i < n; i++) {
		const int code = live_threads_add(&live->threads, pids[i], born_now);
		if (code == -ENOMEM)
			return cp_fail_nomem(err);
	}
	set_timer(live, live->next_ns);
	return 0;
}

/* Look at as many threads as one round may, and list those that run. */
static int find_running(struct live_recorder *live)
{
	struct live_threads *threads = &live->threads;
	const size_t n = threads->n_threads;
	live->n_candidates = 0;
	for (size_t i = 0; i < n; i++) {
		struct live_process *process;
		if (i % LOOKS_AT_ONCE == 0 && clock_now_ns() - live->round_ns > LOOKS_NS && i > 0) {
			live->counts.looks_left_out += n - i;
			break;
		}
		struct live_thread *thread = live_threads_next(threads, &process);
		live->counts.looks++;
		if (!thread || !live_thread_is_running(thread))
			continue;
		struct live_candidate *slot =
			CP_ARRAY_PUSH(live->candidates, live->n_candidates, live->cap_candidates);
		if (!slot)
			return -ENOMEM;
		*slot = (struct live_candidate){process, thread};
	}
	return 0;
}

/* CPU time since the last sample of the thread. */
static uint64_t credit(struct live_thread *thread, uint64_t elapsed_ns)
{
	struct thread_sched sched = {0};
	if (thread_look_sched(thread->pid, thread->tid, &sched) < 0 || !sched.has_times)
		/* a kernel without such statistics: it ran at this moment, so for this round */
		return elapsed_ns;
	const uint64_t used_ns = sched.run_ns > thread->cpu_ns ? sched.run_ns - thread->cpu_ns : 0;
	thread->cpu_ns = sched.run_ns;
	return used_ns;
}

static void add_sample(struct live_recorder *live, const struct live_candidate *candidate,
		       const struct thread_copy *copy, uint64_t elapsed_ns)
{
	struct sample_sink *sink = live->setup.sink;
	struct live_thread *thread = candidate->thread;
	if (live_programs_has_changed(&live->threads, candidate->process, copy->stack.sp)) {
		live->counts.changed++;
		return;
	}
	struct thread *known = live_thread_named(&live->threads, thread, copy->time_ns);
	const uint64_t unmapped = sink->counts.stops[CP_STOP_NO_MAP];
	struct wall *wall = live->setup.wall;
	const uint64_t value_ns = credit(thread, elapsed_ns);
	const struct sink_sample sample = {
		.time_ns = copy->time_ns,
		.state = wall ? CP_STATE_RUNNING : CP_STATE_NONE,
		.regs_kind = SINK_REGS_64,
		.regs = copy->regs,
		.regs_known = copy->regs_known,
		.stack = copy->stack,
		.count = 1,
		.value_ns = (int64_t)value_ns,
	};
	if (!known || (wall ? wall_add_running(wall, known, &sample)
			    : sample_sink_add(sink, known, &sample)) < 0) {
		live->counts.untracked++;
		return;
	}
	live->counts.stopped++;
	candidate->process->sampled_ns += value_ns;
	candidate->process->has_samples = true;
	/* no record tells of a library that was loaded meanwhile */
	if (sink->counts.stops[CP_STOP_NO_MAP] != unmapped)
		known->process->maps_doubtful = true;
}

/* Take candidates at random, as many as can have been on a CPU. */
static void take_running(struct live_recorder *live, uint32_t dump_bytes, uint64_t elapsed_ns)
{
	const size_t n_cpus = live->overhead.limits.n_cpus;
	const size_t n = live->n_candidates < n_cpus ? live->n_candidates : n_cpus;
	for (size_t i = 0; i < n && !is_asked_to_stop(live); i++) {
		if (i > 0 && clock_now_ns() - live->round_ns > ROUND_NS) {
			live->stopper.counts.left_out += n - i;
			break;
		}
		const size_t at = i + next_random(live) % (live->n_candidates - i);
		const struct live_candidate candidate = live->candidates[at];
		struct thread_copy copy;
		live->candidates[at] = live->candidates[i];
		/* it may have begun to wait since it was looked at, and is not to be woken */
		if (i > 0 && !live_thread_is_running(candidate.thread))
			continue;
		if (thread_stop_take(&live->stopper, candidate.thread->pid, candidate.thread->tid,
				     dump_bytes, &copy) == THREAD_STOP_TAKEN)
			add_sample(live, &candidate, &copy, elapsed_ns);
	}
}

static int round_of_samples(struct live_recorder *live, uint32_t dump_bytes, uint64_t now_ns)
{
	const uint64_t elapsed_ns = now_ns - live->round_ns;
	int code = live_threads_update(&live->threads, now_ns);
	live->round_ns = now_ns;
	live->counts.rounds++;
	if (code == 0)
		code = find_running(live);
	if (code < 0)
		return code;
	take_running(live, dump_bytes, elapsed_ns);
	live->interval_ns = overhead_settle(&live->overhead, clock_now_ns(),
					    clock_read_ns(CLOCK_PROCESS_CPUTIME_ID),
					    live->setup.sink->counts.cpu_ns);
	/* 3/4 to 5/4 of it */
	live->next_ns = now_ns + live->interval_ns * 3 / 4 +
			next_random(live) % (live->interval_ns / 2 + 1);
	return 0;
}

int live_recorder_work(struct live_recorder *live, uint32_t dump_bytes)
{
	uint64_t expirations, now_ns = clock_now_ns();
	int code = 0;
	/* nothing to read: it was something else that woke us */
	const ssize_t got = read(live->timer_fd, &expirations, sizeof(expirations));
	(void)got;
	thread_stopper_poll(&live->stopper);
	thread_stopper_favour(&live->stopper);
	if (now_ns >= live->next_ns)
		code = round_of_samples(live, dump_bytes, now_ns);
	uint64_t at_ns = live->next_ns;
	if (thread_stopper_has_late(&live->stopper) && at_ns > now_ns + LATE_LOOK_NS)
		at_ns = now_ns + LATE_LOOK_NS;
	set_timer(live, at_ns);
	return code;
}

void live_recorder_finish(struct live_recorder *live)
{
	live_threads_look_at_clocks(&live->threads);
	thread_stopper_finish(&live->stopper, clock_now_ns() + FINISH_NS);
}
