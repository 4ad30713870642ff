/*
 * waits: a thread that waits for a lock, reads a pipe, sleeps and computes, each for a time of
 * random length that it measures itself, and at least --waits N times; --burners N threads that
 * compute all the time, so that with more of them than CPUs each waits for one; and --still N
 * threads that wait for ever, at depths from 1 to 12, in system calls of seven kinds.
 *
 * Of each kind of wait the truth is its time on the wall, and what of that was none of the wait:
 * time on the CPU, and time in its run queue, by the scheduler's own count. Where the thread was
 * preempted in between, only that sum is known, of which a part followed the wake-up and a part
 * the preemption: this is told apart.
 */
#include "common/truth.h"

#include <alloca.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BURNERS_MAX = 12, STILL_MAX = 2000, STACK_BYTES = 128 << 10, KINDS = 7 };

/* What the mixed thread waits for: in one_wait(), and for the helper to hold the lock. */
enum { LOCK, READ, SLEEP, HOLDER, WAITS };

struct command {
	char what; /* 'l' hold the lock, 'r' answer late, 'e' end */
	long ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t still_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int commands[2], answers[2], silent[2];
static atomic_bool stop;
static int sched_fd; /* of the mixed thread */

static struct waited {
	atomic_long count;
	long ns, cpu_ns;
	long queue_ns;     /* in the run queue */
	long preempted_ns; /* of that in waits in which the CPU was taken away, too */
} waited[WAITS];

/* A thread's life: it is longer than from its first line to its last one, and shorter than from
 * before it was made until it was joined. */
struct life {
	pthread_t thread;
	char name[16], facts[2][32];
	int tid;
	uint64_t cpu_ns;
	long made_ns, first_ns, last_ns, joined_ns;
};

static struct life mixed = {.name = "mixed"};

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void pause_for(long ns)
{
	const struct timespec pause = {ns / 1000000000, ns % 1000000000};

	nanosleep(&pause, NULL);
}

static void must(int failed)
{
	if (failed)
		abort();
}

/* Takes no room at -O2, and some that no one can foresee with -DWITH_ALLOCA. */
#ifdef WITH_ALLOCA
static volatile char *room;
#define TAKE_ROOM(n)                                                                               \
	do {                                                                                       \
		room = alloca(16 + (size_t)((n) % 61) * 16);                                       \
		room[0] = 1;                                                                       \
	} while (0)
#else
#define TAKE_ROOM(n) ((void)(n))
#endif

static TRUTH_NOINLINE void wait_lock(long n)
{
	TAKE_ROOM(n);
	must(pthread_mutex_lock(&lock));
	must(pthread_mutex_unlock(&lock));
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void wait_read(long n)
{
	char answer;

	TAKE_ROOM(n);
	must(read(answers[0], &answer, 1) != 1);
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void wait_sleep(long n)
{
	TAKE_ROOM(n);
	pause_for(n);
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void burn(long ns)
{
	const uint64_t end = truth_cpu_ns() + (uint64_t)ns;
	uint64_t x = (uint64_t)ns;

	while (truth_cpu_ns() < end)
		for (int i = 0; i < 1000; i++)
			TRUTH_MIX(x);
	truth_sink = x;
}

static void *run_helper(void *unused)
{
	struct command command;

	(void)unused;
	while (read(commands[0], &command, sizeof(command)) == (ssize_t)sizeof(command) &&
	       command.what != 'e') {
		if (command.what == 'l') {
			must(pthread_mutex_lock(&lock));
			must(write(answers[1], "h", 1) != 1);
		}
		pause_for(command.ns);
		if (command.what == 'l')
			must(pthread_mutex_unlock(&lock));
		else
			must(write(answers[1], "r", 1) != 1);
	}
	return NULL;
}

static void send_command(char what, long ns)
{
	const struct command command = {what, ns};

	must(write(commands[1], &command, sizeof(command)) != (ssize_t)sizeof(command));
}

/* Until the helper holds the lock: some ten microseconds, where it finds a CPU at once. */
static TRUTH_NOINLINE void wait_for_holder(long n)
{
	char answer;

	TAKE_ROOM(n);
	must(read(answers[0], &answer, 1) != 1);
}

/* Time in the run queue so far; 0 where the kernel does not count it. */
static long queue_ns(void)
{
	char text[128] = "";
	char *end = text;

	if (pread(sched_fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	strtol(text, &end, 10);
	return strtol(end, NULL, 10);
}

static long times_preempted(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nivcsw;
}

/* The counts are read around the times, so that they miss nothing. */
static TRUTH_NOINLINE void measure(int kind, void (*wait)(long), long ns)
{
	struct waited *sum = &waited[kind];
	const long preempted = times_preempted(), queue = queue_ns();
	const long cpu = (long)truth_cpu_ns(), start = now_ns();

	wait(ns);
	sum->ns += now_ns() - start;
	sum->cpu_ns += (long)truth_cpu_ns() - cpu;
	const long queued = queue_ns() - queue;
	sum->queue_ns += queued;
	if (times_preempted() != preempted)
		sum->preempted_ns += queued;
	sum->count++;
}

static TRUTH_NOINLINE void one_wait(int kind, long ns)
{
	static void (*const waits[])(long) = {wait_lock, wait_read, wait_sleep, wait_for_holder};

	if (kind == LOCK) {
		send_command('l', ns);
		measure(HOLDER, waits[HOLDER], ns);
	} else if (kind == READ) {
		send_command('r', ns);
	}
	measure(kind, waits[kind], ns);
	TRUTH_NO_TAIL_CALL();
}

static void make(struct life *life, void *(*run)(void *))
{
	life->made_ns = now_ns();
	must(pthread_create(&life->thread, NULL, run, life));
}

static void begin(struct life *life)
{
	life->first_ns = now_ns();
	life->tid = (int)gettid();
	pthread_setname_np(pthread_self(), life->name);
}

static void *end(struct life *life)
{
	life->cpu_ns = truth_cpu_ns();
	life->last_ns = now_ns();
	return NULL;
}

static void join(struct life *life)
{
	pthread_join(life->thread, NULL);
	life->joined_ns = now_ns();
}

static bool has_waited(long n)
{
	return waited[LOCK].count >= n && waited[READ].count >= n && waited[SLEEP].count >= n;
}

static void *run_mixed(void *argument)
{
	unsigned seed = 4711;

	begin(argument);
	sched_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	while (!stop) {
		/* shares of about 40/30/20, and 10 of CPU; lengths from 1 to 15 ms */
		const int which = rand_r(&seed) % 10;
		const long ns = 1000000 + rand_r(&seed) % 14000000;

		if (which == 9)
			burn(ns);
		else
			one_wait(which < 4 ? LOCK : which < 7 ? READ : SLEEP, ns);
	}
	return end(argument);
}

static void *run_burner(void *argument)
{
	begin(argument);
	while (!stop)
		burn(2000000);
	return end(argument);
}

static void wait_forever(int kind)
{
	struct epoll_event event;
	struct pollfd fd = {.fd = silent[0], .events = POLLIN};
	char byte;

	switch (kind) {
	case 0:
		must(pthread_mutex_lock(&still_lock));
		break;
	case 1:
		must(read(silent[0], &byte, 1) == 1);
		break;
	case 2:
		pause_for(1000000000000);
		break;
	case 3:
		poll(&fd, 1, -1);
		break;
	case 4:
		epoll_wait(epoll_create1(0), &event, 1, -1);
		break;
	case 5:
		pause();
		break;
	default:
		must(pthread_mutex_lock(&lock));
		pthread_cond_wait(&never, &lock);
		break;
	}
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void go_deeper_a(int depth, int kind);

static TRUTH_NOINLINE void go_deeper_b(int depth, int kind)
{
	TAKE_ROOM(depth * 7 + kind);
	if (depth > 0)
		go_deeper_a(depth - 1, kind);
	else
		wait_forever(kind);
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void go_deeper_a(int depth, int kind)
{
	volatile char some[48];

	some[0] = (char)depth;
	if (depth > 0)
		go_deeper_b(depth - 1, kind);
	else
		wait_forever(kind);
	some[1] = some[0];
}

/* When they began to wait, added up, and how many have. */
static atomic_long still_sum_ns, still_begun;

static void *run_still(void *argument)
{
	const int i = (int)(intptr_t)argument;

	pthread_setname_np(pthread_self(), "still");
	still_sum_ns += now_ns();
	still_begun++;
	if (i % 2)
		go_deeper_a(i / KINDS % 12, i % KINDS);
	else
		go_deeper_b(i / KINDS % 12, i % KINDS);
	return NULL;
}

static void start_still(long n)
{
	pthread_attr_t attr;
	pthread_t thread;

	must(pthread_mutex_lock(&still_lock));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (long i = 0; i < n; i++)
		must(pthread_create(&thread, &attr, run_still, (void *)(intptr_t)i));
	pthread_attr_destroy(&attr);
}

static void report_life(struct life *life)
{
	truth_thread(life->name, life->tid, life->cpu_ns);
	snprintf(life->facts[0], sizeof(life->facts[0]), "%s_least_ns", life->name);
	truth_fact(life->facts[0], life->last_ns - life->first_ns);
	snprintf(life->facts[1], sizeof(life->facts[1]), "%s_most_ns", life->name);
	truth_fact(life->facts[1], life->joined_ns - life->made_ns);
}

static void report_waits(void)
{
	static char facts[WAITS][5][24];
	static const char *const names[] = {"lock", "read", "sleep", "holder"};
	static const char *const keys[] = {"ns", "cpu_ns", "queue_ns", "preempted_ns", "waits"};

	for (int i = 0; i < WAITS; i++) {
		const struct waited *of = &waited[i];
		const long values[] = {of->ns, of->cpu_ns, of->queue_ns, of->preempted_ns,
				       of->count};

		for (int j = 0; j < 5; j++) {
			snprintf(facts[i][j], sizeof(facts[i][j]), "%s_%s", names[i], keys[j]);
			truth_fact(facts[i][j], values[j]);
		}
	}
}

int main(int argc, char **argv)
{
	static struct life burners[BURNERS_MAX];
	pthread_t helper;

	truth_start(argc, argv);
	const long n_burners = truth_option(argc, argv, "--burners", 0);
	const long n_still = truth_option(argc, argv, "--still", 0);
	const long least_waits = truth_option(argc, argv, "--waits", 0);
	must(n_burners > BURNERS_MAX || n_still > STILL_MAX || pipe(commands) || pipe(answers) ||
	     pipe(silent));
	start_still(n_still);
	const long still_ns = now_ns();
	truth_ready();
	const long start = now_ns();
	must(pthread_create(&helper, NULL, run_helper, NULL));
	make(&mixed, run_mixed);
	for (long i = 0; i < n_burners; i++) {
		snprintf(burners[i].name, sizeof(burners[i].name), "burner-%d",
			 (int)(i % BURNERS_MAX));
		make(&burners[i], run_burner);
	}
	while (truth_more() || !has_waited(least_waits) || still_begun < n_still)
		pause_for(20000000);
	stop = true;
	join(&mixed);
	for (long i = 0; i < n_burners; i++)
		join(&burners[i]);
	const long wall_ns = now_ns() - start;
	send_command('e', 0);
	pthread_join(helper, NULL);
	for (long i = 0; i < n_burners; i++)
		report_life(&burners[i]);
	report_life(&mixed);
	truth_fact("wall_ns", wall_ns);
	report_waits();
	truth_fact("lock_address", (long)(intptr_t)&lock);
	truth_fact("still_least_ns", now_ns() - still_ns);
	truth_fact("still_waited_ns", n_still * now_ns() - still_sum_ns);
	truth_fact("still_lock_address", (long)(intptr_t)&still_lock);
	return truth_end();
}
