#include "off_cpu.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Threads whose files are kept open. */
enum { OPENED_MAX = 256 };

/* Rounds that may be left out when there is nobody to look at. */
enum { IDLE_INTERVALS = 4 };

/* The last looks take no longer than that. */
#define FINISH_NS (CLOCK_NS_PER_S / 10)

/* So long after a switch a thread is likely to be switched again. */
#define RESTLESS_NS (CLOCK_NS_PER_S / 20)

int off_cpu_init(struct off_cpu *off, unsigned rate_hz, double cpu_share)
{
	const uint64_t now_ns = clock_now_ns();
	uint64_t seed = now_ns;
	/* without it, the time of the start will do */
	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	thread_rounds_init(&off->rounds, CLOCK_NS_PER_S / rate_hz, cpu_share, seed, now_ns);
	off->queue_end = &off->queue;
	off->stacks.sink = off->sink;
	int code = wait_stack_init(&off->stacks);
	if (code == 0)
		code = sample_sink_keep_named(off->sink, PROFILE_PATH_NO_CPU, CP_STOP_UNSEEN,
					      &off->no_cpu);
	if (code == 0)
		code = sample_sink_keep_named(off->sink, PROFILE_PATH_NOT_SEEN, CP_STOP_UNSEEN,
					      &off->not_seen);
	if (code < 0)
		off_cpu_deinit(off);
	return code < 0 ? -ENOMEM : 0;
}

static void destroy(struct off_cpu *off, struct off_cpu_thread *t)
{
	if (t->opened) {
		thread_look_close(&t->target);
		off->n_opened--;
	}
	off_cpu_shorts_deinit(&t->shorts);
	for (size_t i = 0; i < OFF_CPU_LOOKS; i++)
		sample_sink_forget(&t->looks[i].stack);
	free(t);
}

void off_cpu_deinit(struct off_cpu *off)
{
	for (size_t i = 0; i < OFF_CPU_BUCKETS; i++) {
		for (struct off_cpu_thread *t = off->by_tid[i], *next; t; t = next) {
			next = t->next;
			destroy(off, t);
		}
		off->by_tid[i] = NULL;
	}
	off->queue = NULL;
	off->queue_end = &off->queue;
	wait_stack_deinit(&off->stacks);
	socket_names_deinit(&off->sockets);
	sample_sink_forget(&off->no_cpu);
	sample_sink_forget(&off->not_seen);
}

static struct off_cpu_thread **bucket_of(struct off_cpu *off, pid_t tid)
{
	struct off_cpu_thread **at = &off->by_tid[(uint32_t)tid % OFF_CPU_BUCKETS];
	while (*at && (*at)->tid != tid)
		at = &(*at)->next;
	return at;
}

/* Have the next round look at it. */
static void enqueue(struct off_cpu *off, struct off_cpu_thread *t)
{
	t->active = true;
	if (t->queued || t->refused)
		return;
	t->queued = true;
	t->next_queued = NULL;
	*off->queue_end = t;
	off->queue_end = &t->next_queued;
	off->n_queued++;
}

static void dequeue(struct off_cpu *off, struct off_cpu_thread *t)
{
	struct off_cpu_thread **at = &off->queue;
	if (!t->queued)
		return;
	while (*at != t)
		at = &(*at)->next_queued;
	*at = t->next_queued;
	if (off->queue_end == &t->next_queued)
		off->queue_end = at;
	off->n_queued--;
	t->queued = false;
}

/* What is known of its waits can be no sample any more. */
static void forget(struct off_cpu *off, struct off_cpu_thread **at)
{
	struct off_cpu_thread *t = *at;
	off->counts.broken += t->off + off_cpu_shorts_missed(&t->shorts);
	dequeue(off, t);
	*at = t->next;
	destroy(off, t);
}

static struct off_cpu_thread *find_or_add(struct off_cpu *off, pid_t pid, pid_t tid)
{
	struct off_cpu_thread **at = bucket_of(off, tid);
	struct off_cpu_thread *t = *at;
	if (t && t->pid == pid)
		return t;
	/* the end of the one that had the number was not told: a record was lost */
	if (t) {
		forget(off, at);
		at = bucket_of(off, tid);
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		off->counts.untracked++;
		return NULL;
	}
	t->pid = pid;
	t->tid = tid;
	*at = t;
	thread_rounds_grant(&off->rounds);
	return t;
}

/* Put time of a thread into the profile. */
static void add(struct off_cpu *off, const struct off_cpu_thread *t, const struct kept_stack *stack,
		const struct sink_sample *sample)
{
	struct thread *thread = processes_find_thread(off->processes, t->tid);
	/* gone with its process, or its number is another one's */
	if (!thread || thread->process->pid != t->pid ||
	    sample_sink_add_kept(off->sink, thread, sample, stack) < 0)
		off->counts.untracked++;
}

/* The look at the wait that began at since_ns and has not ended before @until_ns, or NULL. */
static struct off_cpu_look *look_at_wait(struct off_cpu_thread *t, uint64_t until_ns)
{
	for (size_t i = 0; i < t->n_looks; i++) {
		if (t->looks[i].time_ns >= t->since_ns && t->looks[i].time_ns < until_ns)
			return &t->looks[i];
	}
	return NULL;
}

/* Forget the looks before @time_ns; the memory of their stacks stays. */
static void drop_looks(struct off_cpu_thread *t, uint64_t time_ns)
{
	size_t n = 0;
	while (n < t->n_looks && t->looks[n].time_ns < time_ns)
		n++;
	for (size_t i = 0; i + n < t->n_looks && n; i++) {
		const struct off_cpu_look old = t->looks[i];
		t->looks[i] = t->looks[i + n];
		t->looks[i + n] = old;
	}
	t->n_looks -= n;
}

/* @look: NULL = there was none; of one who could run none is wanted */
static void add_waited(struct off_cpu *off, const struct off_cpu_thread *t,
		       const struct off_cpu_look *look, uint64_t until_ns)
{
	const bool is_new = !t->counted;
	if (t->preempted)
		look = NULL;
	const struct sink_sample sample = {
		.time_ns = until_ns,
		.count = is_new,
		.value_ns = (int64_t)(until_ns - t->counted_to_ns),
		.state = t->preempted ? CP_STATE_RUNNABLE
			 : look       ? look->info.state
				      : CP_STATE_WAIT,
		.waits_for = look ? look->info.object : NULL,
		.inferred = look ? look->inferred : CP_INFERRED_NO,
	};
	add(off, t, t->preempted ? &off->no_cpu : look ? &look->stack : &off->not_seen, &sample);
	if (t->preempted)
		off->counts.cpu_wait_ns += (uint64_t)sample.value_ns;
	else
		off->counts.wait_ns += (uint64_t)sample.value_ns;
	if (look)
		off->counts.seen_ns += (uint64_t)sample.value_ns;
	off->counts.cpu_waits += is_new && t->preempted;
	off->counts.waits += is_new && !t->preempted;
}

struct giving {
	struct off_cpu *off;
	const struct off_cpu_thread *thread;
	uint64_t time_ns;
};

static void add_divided(void *ctx, const struct off_cpu_short *as, uint64_t waits, uint64_t ns)
{
	const struct giving *giving = ctx;
	struct off_cpu *off = giving->off;
	const struct sink_sample sample = {
		.time_ns = giving->time_ns,
		.count = (int64_t)waits,
		.value_ns = (int64_t)ns,
		.state = as ? as->info.state : CP_STATE_WAIT,
		.waits_for = as ? as->info.object : NULL,
		.inferred = as ? CP_INFERRED_WAIT : CP_INFERRED_NO,
	};
	off->counts.waits += waits;
	off->counts.wait_ns += ns;
	if (as)
		off->counts.estimated_ns += ns;
	add(off, giving->thread, as ? &as->stack : &off->not_seen, &sample);
}

/* Divide the waits that no round has met. */
static void add_missed(struct off_cpu *off, struct off_cpu_thread *t, uint64_t time_ns, bool last)
{
	struct giving giving = {off, t, time_ns};
	if (t->shorts.missed_all_ns || t->shorts.n)
		off_cpu_shorts_divide(&t->shorts, last, add_divided, &giving);
}

/* A short wait was met. */
static void add_short(struct off_cpu *off, struct off_cpu_thread *t, struct off_cpu_look *look,
		      uint64_t wait_ns, uint64_t time_ns)
{
	int code = off_cpu_shorts_meet(&t->shorts, &look->stack, &look->info, wait_ns);
	if (code == -ENOSPC) {
		add_missed(off, t, time_ns, false);
		code = off_cpu_shorts_meet(&t->shorts, &look->stack, &look->info, wait_ns);
	}
	off->counts.untracked += code < 0;
}

/* A wait is over. */
static void end_wait(struct off_cpu *off, struct off_cpu_thread *t, uint64_t time_ns)
{
	struct off_cpu_look *look = look_at_wait(t, time_ns);
	const uint64_t wait_ns = time_ns - t->since_ns;
	const bool is_short = off_cpu_shorts_is_short(wait_ns);
	/* a long one would have been met, if it could be */
	if (look || t->preempted || t->counted || !is_short)
		add_waited(off, t, look, time_ns);
	else
		off_cpu_shorts_miss(&t->shorts, wait_ns);
	if (look && !t->preempted && is_short)
		add_short(off, t, look, wait_ns, time_ns);
	drop_looks(t, time_ns);
	t->off = false;
}

static void begin_wait(struct off_cpu_thread *t, uint64_t time_ns, bool preempted)
{
	t->known = t->off = true;
	t->preempted = preempted;
	t->counted = false;
	t->since_ns = t->counted_to_ns = time_ns;
	drop_looks(t, time_ns);
}

void off_cpu_add(struct off_cpu *off, pid_t pid, pid_t tid)
{
	struct off_cpu_thread *t = find_or_add(off, pid, tid);
	if (t)
		enqueue(off, t);
}

void off_cpu_add_all(struct off_cpu *off)
{
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct thread *t = off->processes->by_tid[i]; t; t = t->next) {
			if (!t->exited && t->tid > 0 && t->process->pid > 0)
				off_cpu_add(off, t->process->pid, t->tid);
		}
	}
}

void off_cpu_born(struct off_cpu *off, pid_t pid, pid_t tid, uint64_t time_ns)
{
	struct off_cpu_thread *t = find_or_add(off, pid, tid);
	if (t && !t->known)
		begin_wait(t, time_ns, true);
}

void off_cpu_switched(struct off_cpu *off, const struct thread *thread, uint64_t time_ns, bool out,
		      bool preempted)
{
	struct off_cpu_thread *t = find_or_add(off, thread->process->pid, thread->tid);
	if (!t)
		return;
	if (!t->known && !out) /* it has waited since before the beginning */
		begin_wait(t, off->start_ns, false);
	if (out) {
		/* that it was seen waiting before any record was an assumption; else one is lost */
		off->counts.broken += t->known && t->off;
		begin_wait(t, time_ns, preempted);
	} else if (t->off && time_ns >= t->counted_to_ns) {
		end_wait(off, t, time_ns);
	} else {
		off->counts.broken++;
	}
	t->known = true;
	t->switched_ns = time_ns;
	enqueue(off, t);
}

void off_cpu_ended(struct off_cpu *off, pid_t tid, uint64_t time_ns)
{
	struct off_cpu_thread **at = bucket_of(off, tid), *t = *at;
	if (!t)
		return;
	off->counts.broken += t->off; /* one that does not run cannot end */
	add_missed(off, t, time_ns, true);
	dequeue(off, t);
	*at = t->next;
	destroy(off, t);
}

/* Return: what the look came to. */
static enum thread_look_status take_look(struct off_cpu *off, struct off_cpu_thread *t,
					 struct thread *thread)
{
	struct off_cpu_look *look = &t->looks[t->n_looks];
	struct thread_copy copy;
	struct thread_sched sched;
	enum cp_inferred inferred = CP_INFERRED_NO;
	if (!t->opened && off->n_opened < OPENED_MAX) {
		t->opened = true;
		off->n_opened++;
		t->target = thread_look_target_of(t->pid, t->tid);
		thread_look_open(&t->target);
	}
	const struct wait_stack_thread of = {
		.thread = thread,
		.target = t->opened ? &t->target : NULL,
		.places = &t->places,
		.n_bytes = &t->n_bytes,
		.slices = t->slices,
	};
	const enum thread_look_status status =
		wait_stack_take(&off->stacks, &of, &copy, &sched, &inferred);
	if (status != THREAD_LOOK_TAKEN)
		return status;
	wait_info_read(&off->sockets, t->pid, t->tid, &copy, &look->info);
	const struct sink_sample sample = {
		.time_ns = copy.time_ns,
		.regs_kind = SINK_REGS_64,
		.regs = copy.regs,
		.regs_known = copy.regs_known,
		.stack = copy.stack,
		.state = look->info.state,
	};
	if (sample_sink_keep(off->sink, thread, &sample, &look->stack) < 0) {
		off->counts.untracked++;
		return status;
	}
	look->inferred = inferred;
	look->time_ns = copy.time_ns;
	t->slices = sched.slices;
	t->n_looks++;
	return status;
}

/* Return: true when the next round is to look again. */
static bool visit(struct off_cpu *off, struct off_cpu_thread *t)
{
	struct thread *thread = processes_find_thread(off->processes, t->tid);
	const uint64_t now_ns = clock_now_ns();
	const bool active = t->active;
	t->active = false;
	if (!thread || thread->exited || thread->process->held)
		return false;
	/* records are late: it may be in its next wait, or the one after that */
	const bool restless = t->switched_ns + RESTLESS_NS > now_ns;
	if (!restless && t->off && look_at_wait(t, UINT64_MAX))
		return false;
	if (!restless && t->known && (t->off ? t->preempted : !active))
		return false;
	if (t->n_looks == OFF_CPU_LOOKS)
		return true;
	t->refused = take_look(off, t, thread) == THREAD_LOOK_REFUSED;
	return !t->refused;
}

static void visit_first(struct off_cpu *off)
{
	struct off_cpu_thread *t = off->queue;
	dequeue(off, t);
	if (visit(off, t)) {
		const bool active = t->active;
		enqueue(off, t);
		t->active = active;
	}
}

/* Of a thread that no record has told of: it has done the same all the time. */
static bool is_waiting(pid_t tid)
{
	char state = 0;
	procfs_tracer(tid, &state);
	return state != 0 && state != 'R' && state != 'Z' && state != 'X';
}

void off_cpu_finish(struct off_cpu *off)
{
	const uint64_t until_ns = clock_now_ns() + FINISH_NS;
	for (size_t n = off->n_queued; n > 0 && clock_now_ns() < until_ns; n--)
		visit_first(off);
	for (size_t i = 0; i < OFF_CPU_BUCKETS; i++) {
		for (struct off_cpu_thread *t = off->by_tid[i]; t; t = t->next) {
			if (!t->known && t->n_looks == 0 && is_waiting(t->tid))
				begin_wait(t, off->start_ns, false);
		}
	}
}

void off_cpu_round(struct off_cpu *off)
{
	const uint64_t cpu_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	const size_t k = thread_rounds_begin(&off->rounds, off->n_queued, clock_now_ns());
	for (size_t i = 0; i < k; i++)
		visit_first(off);
	thread_rounds_end(&off->rounds, k, clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns,
			  clock_now_ns());
	/* everybody waits, and is known to: what changes shows in the records, a little later */
	if (off->n_queued == 0)
		off->rounds.next_ns += IDLE_INTERVALS * off->rounds.interval_ns;
}

/* What is certain about a wait that goes on. */
static void flush_wait(struct off_cpu *off, struct off_cpu_thread *t, uint64_t until_ns, bool last)
{
	if (!t->known && t->n_looks && t->looks[0].time_ns < until_ns) {
		/* no record, but it was seen waiting: it has never run */
		begin_wait(t, off->start_ns, false);
	}
	if (!t->off || until_ns <= t->counted_to_ns)
		return;
	const struct off_cpu_look *look = look_at_wait(t, until_ns);
	if (!last && !t->preempted && !look)
		return;
	add_waited(off, t, look, until_ns);
	t->counted = true;
	t->counted_to_ns = until_ns;
}

/* Its end was not told: a record was lost, or another thread of its process has called exec. */
static bool is_gone(const struct off_cpu *off, const struct off_cpu_thread *t)
{
	const struct thread *thread = processes_find_thread(off->processes, t->tid);
	return !thread || thread->process->pid != t->pid;
}

void off_cpu_flush(struct off_cpu *off, uint64_t until_ns, bool last)
{
	for (size_t i = 0; i < OFF_CPU_BUCKETS; i++) {
		for (struct off_cpu_thread **at = &off->by_tid[i], *t; (t = *at);) {
			if (is_gone(off, t)) {
				forget(off, at);
				continue;
			}
			flush_wait(off, t, until_ns, last);
			add_missed(off, t, until_ns, last);
			at = &t->next;
		}
	}
}
