/*
 * waits: a thread that waits for a lock, reads a pipe, sleeps and computes, each for a time of
 * random length that it measures itself; --burners N threads that compute all the time, so that
 * with more of them than CPUs each waits for one; and --still N threads that wait for ever, at
 * depths from 1 to 12, in system calls of seven kinds.
 */
#include "common/truth.h"

#include <alloca.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BURNERS_MAX = 12, STILL_MAX = 2000, STACK_BYTES = 128 << 10, KINDS = 7 };

struct command {
	char what; /* 'l' hold the lock, 'r' answer late, 'e' end */
	long ns;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t still_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int commands[2], answers[2], silent[2];
static atomic_bool stop;
static long waited_ns[3]; /* lock, read, sleep */
static uint64_t mixed_cpu_ns;
static int mixed_tid;

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

/* Until the helper holds the lock: not counted, some ten microseconds. */
static TRUTH_NOINLINE void wait_for_holder(void)
{
	char answer;

	must(read(answers[0], &answer, 1) != 1);
}

static TRUTH_NOINLINE void one_wait(int kind, long ns)
{
	static void (*const waits[])(long) = {wait_lock, wait_read, wait_sleep};

	if (kind == 0) {
		send_command('l', ns);
		wait_for_holder();
	} else if (kind == 1) {
		send_command('r', ns);
	}
	const long start = now_ns();
	waits[kind](ns);
	waited_ns[kind] += now_ns() - start;
}

static void *run_mixed(void *unused)
{
	unsigned seed = 4711;

	(void)unused;
	mixed_tid = (int)gettid();
	pthread_setname_np(pthread_self(), "mixed");
	while (!stop) {
		/* shares of about 40/30/20, and 10 of CPU; lengths from 1 to 15 ms */
		const int which = rand_r(&seed) % 10;
		const long ns = 1000000 + rand_r(&seed) % 14000000;

		if (which == 9)
			burn(ns);
		else
			one_wait(which < 4 ? 0 : which < 7 ? 1 : 2, ns);
	}
	mixed_cpu_ns = truth_cpu_ns();
	return NULL;
}

struct burner {
	pthread_t thread;
	char name[16];
	int tid;
	uint64_t cpu_ns;
};

static void *run_burner(void *argument)
{
	struct burner *self = argument;

	self->tid = (int)gettid();
	pthread_setname_np(pthread_self(), self->name);
	while (!stop)
		burn(2000000);
	self->cpu_ns = truth_cpu_ns();
	return NULL;
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

static void *run_still(void *argument)
{
	const int i = (int)(intptr_t)argument;

	pthread_setname_np(pthread_self(), "still");
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

int main(int argc, char **argv)
{
	static struct burner burners[BURNERS_MAX];
	pthread_t mixed, helper;

	truth_start(argc, argv);
	const long n_burners = truth_option(argc, argv, "--burners", 0);
	const long n_still = truth_option(argc, argv, "--still", 0);
	must(n_burners > BURNERS_MAX || n_still > STILL_MAX || pipe(commands) || pipe(answers) ||
	     pipe(silent));
	start_still(n_still);
	truth_ready();
	const long start = now_ns();
	must(pthread_create(&helper, NULL, run_helper, NULL) ||
	     pthread_create(&mixed, NULL, run_mixed, NULL));
	for (long i = 0; i < n_burners; i++) {
		snprintf(burners[i].name, sizeof(burners[i].name), "burner-%d",
			 (int)(i % BURNERS_MAX));
		must(pthread_create(&burners[i].thread, NULL, run_burner, &burners[i]));
	}
	while (truth_more())
		pause_for(20000000);
	stop = true;
	pthread_join(mixed, NULL);
	for (long i = 0; i < n_burners; i++)
		pthread_join(burners[i].thread, NULL);
	const long wall_ns = now_ns() - start;
	send_command('e', 0);
	pthread_join(helper, NULL);
	for (long i = 0; i < n_burners; i++)
		truth_thread(burners[i].name, burners[i].tid, burners[i].cpu_ns);
	truth_thread("mixed", mixed_tid, mixed_cpu_ns);
	truth_fact("wall_ns", wall_ns);
	truth_fact("lock_ns", waited_ns[0]);
	truth_fact("read_ns", waited_ns[1]);
	truth_fact("sleep_ns", waited_ns[2]);
	truth_fact("lock_address", (long)(intptr_t)&lock);
	truth_fact("still_lock_address", (long)(intptr_t)&still_lock);
	return truth_end();
}
