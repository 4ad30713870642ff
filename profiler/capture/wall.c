#include "wall.h"

#include "base/array.h"
#include "clock.h"
#include "wall_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

enum { FILES_MAX = 16384 };

/* Of how many threads files may be kept open, two each; a quarter of what we may open is left. */
static size_t limit_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	const rlim_t wanted = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			return 0;
	}
	return (size_t)(limit.rlim_cur < FILES_MAX ? limit.rlim_cur : FILES_MAX) * 3 / 8;
}

int wall_init(struct wall *wall, unsigned rate_hz, double cpu_share, uint64_t now_ns)
{
	uint64_t seed = now_ns;
	/* without it, the time of the start will do */
	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	wall->period_ns = (int64_t)(CLOCK_NS_PER_S / rate_hz);
	thread_rounds_init(&wall->rounds, (uint64_t)wall->period_ns, cpu_share, seed, now_ns);
	wall->open_max = limit_files();
	wall->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall->stacks.sink = wall->sink;
	wall->stacks.stopper = wall->stopper;
	return wait_stack_init(&wall->stacks);
}

void wall_deinit(struct wall *wall)
{
	wait_stack_deinit(&wall->stacks);
	socket_names_deinit(&wall->sockets);
	free(wall->threads);
	free(wall->order);
	wall->threads = NULL;
	wall->order = NULL;
	wall->n_threads = wall->cap_threads = wall->n_order = wall->cap_order = 0;
	wall->has_list = false;
}

/* What the scheduler says that the thread has spent since it is accounted for. */
static int64_t used_ns(const struct wall_thread *w, const struct thread_sched *sched)
{
	return (int64_t)(sched->run_ns - w->at_start.run_ns) +
	       (int64_t)(sched->delay_ns - w->at_start.delay_ns);
}

/* What a thread that waits has waited, and no sample stands for. */
static int64_t owed_ns(const struct wall_thread *w, const struct thread_sched *sched,
		       uint64_t now_ns)
{
	if (!sched->has_times) /* no such counts: since the last look */
		return (int64_t)(now_ns - w->seen_ns);
	return (int64_t)(now_ns - w->since_ns) - used_ns(w, sched) - w->waited_ns;
}

static void account(struct wall *wall, int code, int64_t *sum, int64_t value_ns)
{
	if (code < 0)
		wall->counts.dropped++;
	else
		*sum += value_ns;
}

/* A sample of a stack that the thread had before. */
static void repeat(struct wall *wall, struct thread *thread, const struct kept_stack *kept,
		   const struct sink_sample *sample, int64_t *sum)
{
	const int code = sample_sink_add_kept(wall->sink, thread, sample, kept);
	account(wall, code, sum, sample->value_ns);
}

/*
 * Time that the thread waited for a CPU, to the stack it was last seen with.
 *
 * @least_ns: less is left for later
 */
static void add_delay(struct wall *wall, struct thread *thread, const struct thread_sched *sched,
		      uint64_t now_ns, int64_t least_ns)
{
	struct wall_thread *w = thread->wall;
	const struct kept_stack *kept = w->running_ns > w->waiting_ns ? &w->running : &w->waiting;
	const int64_t delay_ns = (int64_t)(sched->delay_ns - w->at_start.delay_ns) - w->delayed_ns;
	if (!sched->has_times || delay_ns < least_ns || kept->n == 0)
		return;
	const struct sink_sample sample = {.time_ns = now_ns,
					   .count = 1,
					   .value_ns = delay_ns,
					   .state = CP_STATE_RUNNABLE,
					   .inferred = CP_INFERRED_WAIT};
	repeat(wall, thread, kept, &sample, &w->delayed_ns);
}

/* No record tells of names where the engine is that of stops; threads get them after their birth.
 */
static void read_name(struct wall *wall, const struct thread *thread)
{
	char name[PROCFS_COMM_MAX];
	const pid_t pid = thread->process->pid;
	if (wall->stopper && procfs_comm(pid, thread->tid, name))
		processes_comm(wall->processes, pid, thread->tid, name);
}

/* The thread waits, and was looked at. */
static void add_taken(struct wall *wall, struct thread *thread, const struct thread_copy *copy,
		      const struct thread_sched *sched, enum cp_inferred inferred)
{
	struct wall_thread *w = thread->wall;
	struct sample_sink *sink = wall->sink;
	struct wait_info wait;
	read_name(wall, thread);
	wait_info_read(&wall->sockets, thread->process->pid, thread->tid, copy, &wait);
	const int64_t value_ns = owed_ns(w, sched, copy->time_ns);
	const struct sink_sample sample = {.time_ns = copy->time_ns,
					   .regs_kind = SINK_REGS_64,
					   .regs = copy->regs,
					   .regs_known = copy->regs_known,
					   .stack = copy->stack,
					   .count = 1,
					   .value_ns = value_ns > 0 ? value_ns : 0,
					   .state = wait.state,
					   .waits_for = wait.object,
					   .inferred = inferred};
	w->slices = 0;
	if (sample_sink_keep(sink, thread, &sample, &w->waiting) < 0) {
		wall->counts.dropped++;
		return;
	}
	wall->counts.stacks_taken++;
	repeat(wall, thread, &w->waiting, &sample, &w->waited_ns);
	w->waiting_ns = copy->time_ns;
	w->slices = sched->slices;
	w->state = wait.state;
	w->inferred = inferred;
	if (profile_string(sink->profile, wait.object, &w->waits_for) < 0)
		w->slices = 0;
}

static void add_unchanged(struct wall *wall, struct thread *thread,
			  const struct thread_sched *sched)
{
	struct wall_thread *w = thread->wall;
	const uint64_t now_ns = clock_now_ns();
	const int64_t value_ns = owed_ns(w, sched, now_ns);
	if (value_ns <= 0)
		return;
	const struct sink_sample sample = {.time_ns = now_ns,
					   .count = 1,
					   .value_ns = value_ns,
					   .state = w->state,
					   .waits_for =
						   profile_text(wall->sink->profile, w->waits_for),
					   .inferred = w->inferred};
	repeat(wall, thread, &w->waiting, &sample, &w->waited_ns);
}

/* @last: nothing may be left for later */
static void visit(struct wall *wall, struct thread *thread, bool last)
{
	struct wall_thread *w = thread->wall;
	struct thread_copy copy;
	struct thread_sched sched;
	enum cp_inferred inferred = CP_INFERRED_NO;
	const struct wait_stack_thread of = {.thread = thread,
					     .target = &w->target,
					     .places = &w->places,
					     .n_bytes = &w->n_bytes,
					     .slices = w->slices};
	const enum thread_look_status status =
		wait_stack_take(&wall->stacks, &of, &copy, &sched, &inferred);
	if (status == THREAD_LOOK_GONE || status == THREAD_LOOK_REFUSED)
		return;
	if (status == THREAD_LOOK_TAKEN)
		add_taken(wall, thread, &copy, &sched, inferred);
	else if (status == THREAD_LOOK_UNCHANGED)
		add_unchanged(wall, thread, &sched);
	else
		w->slices = 0;
	w->seen_ns = clock_now_ns();
	add_delay(wall, thread, &sched, w->seen_ns, last ? 1 : wall->period_ns);
}

/* A thread is accounted for from now on. */
static void begin(struct wall *wall, struct thread *thread, uint64_t now_ns)
{
	struct thread_sched sched;
	const pid_t pid = thread->process->pid;
	if (thread->wall || thread_look_sched(pid, thread->tid, &sched) < 0)
		return;
	thread->wall = wall_thread_create(pid, thread->tid, now_ns, &sched);
	if (thread->wall)
		thread_rounds_grant(&wall->rounds);
	if (!thread->wall || wall->n_open >= wall->open_max)
		return;
	thread_look_open(&thread->wall->target);
	wall->n_open++;
}

/*
 * The time of a thread that has ended, as far as no sample stands for it: between the last look and
 * the end. One that waited then is taken to have gone on with it; this is marked.
 *
 * The end is when the kernel says that it was; where nothing tells (live_threads.h), when it was
 * noticed, a tenth of a second later at most.
 */
static void end(struct wall *wall, struct thread *thread)
{
	struct wall_thread *w = thread->wall;
	if (!w || w->ended)
		return;
	const int64_t left_ns = (int64_t)(thread->exited_ns - w->since_ns) - w->waited_ns -
				w->delayed_ns - w->ran_ns;
	if (left_ns > 0 && w->slices && w->waiting.n) {
		const struct sink_sample sample = {
			.time_ns = thread->exited_ns,
			.count = 1,
			.value_ns = left_ns,
			.state = w->state,
			.waits_for = profile_text(wall->sink->profile, w->waits_for),
			.inferred = CP_INFERRED_WAIT};
		repeat(wall, thread, &w->waiting, &sample, &w->waited_ns);
	} else if (left_ns > 0) {
		wall->counts.unseen_ns += (uint64_t)left_ns;
	}
	w->ended = true;
	if (w->target.syscall_fd >= 0)
		wall->n_open--;
	thread_look_close(&w->target);
}

static bool push(struct wall *wall, struct thread *thread)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
	struct thread **item = CP_ARRAY_PUSH(wall->threads, wall->n_threads, wall->cap_threads);
	if (item)
		*item = thread;
	return item != NULL;
}

/* The threads there are. Those that find no room are looked at when there is some. */
static void list(struct wall *wall, uint64_t now_ns)
{
	if (wall->has_list && wall->listed_version == wall->processes->threads_version)
		return;
	wall->has_list = true;
	wall->listed_version = wall->processes->threads_version;
	wall->n_threads = wall->n_order = 0;
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct thread *t = wall->processes->by_tid[i]; t; t = t->next) {
			if (t->exited)
				end(wall, t);
			else if (t->tid > 0 && t->process->pid > 0 && !t->process->held)
				begin(wall, t, now_ns);
			if (!t->exited && t->wall && !push(wall, t))
				return;
		}
	}
	for (size_t i = 0; i < wall->n_threads; i++) {
		uint32_t *place = CP_ARRAY_PUSH(wall->order, wall->n_order, wall->cap_order);
		if (!place)
			break;
		*place = (uint32_t)i;
	}
}

void wall_round(struct wall *wall, uint64_t now_ns)
{
	const uint64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
	list(wall, now_ns);
	const size_t n = wall->n_order;
	thread_rounds_charge(&wall->rounds, cpu_ns - wall->cpu_ns);
	const size_t k = thread_rounds_begin(&wall->rounds, n, now_ns);
	for (size_t i = 0; i < k; i++) {
		visit(wall, wall->threads[thread_rounds_pick(&wall->rounds, wall->order, i, n)],
		      false);
		/* one that is late stands still until it is noticed */
		if (wall->stopper)
			thread_stopper_poll(wall->stopper);
	}
	wall->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
	thread_rounds_end(&wall->rounds, k, wall->cpu_ns - cpu_ns, clock_now_ns());
}

void wall_finish(struct wall *wall, uint64_t now_ns)
{
	list(wall, now_ns);
	wall->stacks.stopper = NULL;
	for (size_t i = 0; i < wall->n_threads; i++)
		visit(wall, wall->threads[i], true);
}

int wall_add_running(struct wall *wall, struct thread *thread, const struct sink_sample *sample)
{
	struct wall_thread *w = thread->wall;
	if (!w)
		return wall->off_cpu_only ? 0 : sample_sink_add(wall->sink, thread, sample);
	const int code = sample_sink_keep(wall->sink, thread, sample, &w->running);
	if (code < 0)
		return code;
	w->running_ns = sample->time_ns;
	w->ran_ns += sample->value_ns;
	if (sample->in_kernel && sample->regs_kind == SINK_REGS_64)
		wait_places_add(&w->places, &sample->regs, &sample->stack, CP_INFERRED_NO);
	return wall->off_cpu_only ? 0
				  : sample_sink_add_kept(wall->sink, thread, sample, &w->running);
}
