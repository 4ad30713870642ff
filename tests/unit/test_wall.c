/* Rounds over the threads of a child, whose times the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/wall.h"
#include "capture/wall_thread.h"

#include "../support/waits_in.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLEEPERS = 20 };

struct fixture {
	struct processes *processes;
	struct profile *profile;
	struct sample_sink sink;
	struct wall wall;
	pid_t child;
};

static struct fixture f;

static void *sleep_on(void *unused)
{
	(void)unused;
	for (;;)
		pause();
	return NULL;
}

/* Its first thread sleeps too: SLEEPERS + 1. */
static void run_child(int ready_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < SLEEPERS; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, sleep_on, NULL))
			_exit(1);
	}
	if (write(ready_fd, "x", 1) != 1)
		_exit(1);
	sleep_on(NULL);
}

/* Until each of its threads waits where it will go on waiting: no other wait is to be seen. */
static int wait_for_pause(pid_t pid)
{
	size_t n = 0;
	while (n < SLEEPERS + 1) {
		char path[64];
		const struct dirent *entry;
		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
		DIR *tasks = opendir(path);
		if (!tasks)
			return -1;
		for (n = 0; (entry = readdir(tasks));)
			n += waits_in((pid_t)strtol(entry->d_name, NULL, 10), SYS_pause);
		closedir(tasks);
		sched_yield();
	}
	return 0;
}

static int setup(void **state)
{
	int ready[2];
	char byte;
	(void)state;
	memset(&f, 0, sizeof(f));
	if (pipe(ready))
		return -1;
	f.child = fork();
	if (f.child == 0)
		run_child(ready[1]);
	if (read(ready[0], &byte, 1) != 1 || wait_for_pause(f.child) < 0 ||
	    processes_create(&f.processes) < 0 || profile_create(&f.profile) < 0)
		return -1;
	close(ready[0]);
	close(ready[1]);
	profile_add_value_type(f.profile, "samples", "count");
	profile_add_value_type(f.profile, "wall", "nanoseconds");
	f.sink = (struct sample_sink){
		.profile = f.profile, .processes = f.processes, .start_ns = clock_now_ns()};
	if (processes_scan(f.processes, f.child, NULL) < 0 || sample_sink_init(&f.sink) < 0)
		return -1;
	f.wall = (struct wall){.sink = &f.sink, .processes = f.processes};
	return wall_init(&f.wall, 200, 1, clock_now_ns());
}

static int teardown(void **state)
{
	(void)state;
	kill(f.child, SIGKILL);
	waitpid(f.child, NULL, 0);
	wall_deinit(&f.wall);
	sample_sink_deinit(&f.sink);
	profile_destroy(f.profile);
	processes_destroy(f.processes);
	return 0;
}

static void run_for(uint64_t duration_ns)
{
	const uint64_t until_ns = clock_now_ns() + duration_ns;
	while (clock_now_ns() < until_ns) {
		while (clock_now_ns() < wall_due_ns(&f.wall))
			sched_yield();
		wall_round(&f.wall, clock_now_ns());
	}
}

/* Sum of the samples of a thread; what they say is the same in all. */
static uint64_t sum_of(thread_id thread)
{
	uint64_t sum_ns = 0;
	for (size_t i = 0; i < f.profile->n_samples; i++) {
		const struct profile_sample_key *key = &f.profile->samples[i];
		if (key->thread.v != thread.v)
			continue;
		if (key->state != CP_STATE_RUNNABLE)
			assert_int_equal(key->state, CP_STATE_WAIT);
		sum_ns += (uint64_t)f.profile->values[i * 2 + 1];
	}
	return sum_ns;
}

/*
 * End, and look what each thread has. It may have run a little at the beginning; the last look at
 * it is somewhere in the last round.
 */
static void finish_and_sum(void)
{
	const uint64_t end_ns = clock_now_ns();
	wall_finish(&f.wall, end_ns);
	const uint64_t over_ns = clock_now_ns();
	assert_int_equal(f.profile->n_threads, SLEEPERS + 1);
	for (uint32_t i = 0; i < f.profile->n_threads; i++) {
		const struct thread *thread =
			processes_find_thread(f.processes, (pid_t)f.profile->threads[i].tid);
		assert_non_null(thread);
		const uint64_t since_ns = thread->wall->since_ns;
		assert_in_range(sum_of((thread_id){i}), end_ns - since_ns - CLOCK_NS_PER_S / 50,
				over_ns - since_ns);
	}
}

static void test_wall__every_thread_counts_for_all_of_its_time(void **state)
{
	(void)state;
	do
		run_for(CLOCK_NS_PER_S / 2);
	while (f.wall.stacks.look.counts[THREAD_LOOK_UNCHANGED] <= SLEEPERS + 1);
	finish_and_sum();
	/* they have not run: each stack was read once */
	assert_in_range(f.wall.counts.stacks_taken, SLEEPERS + 1, 2 * SLEEPERS);
	assert_int_equal(f.wall.counts.unseen_ns, 0);
	assert_int_equal(f.wall.counts.dropped, 0);
}

/* Where a look is seldom paid for, it stands for more. */
static void test_wall__few_looks_make_no_less_time(void **state)
{
	(void)state;
	f.wall.rounds.cpu_share = 0.001;
	f.wall.rounds.grants_ns = (double)THREAD_ROUNDS_GRANT_NS; /* used up */
	run_for(CLOCK_NS_PER_S / 2);
	assert_true(f.wall.rounds.n_passed_over > 0);
	finish_and_sum();
}

/* What was left of the time of threads that have ended is theirs, and marked. */
static void test_wall__an_end_between_two_looks(void **state)
{
	(void)state;
	run_for(CLOCK_NS_PER_S / 5);
	const struct thread *first = processes_find_thread(f.processes, f.child);
	const uint64_t since_ns = first->wall->since_ns;
	uint64_t marked_ns = 0, sum_ns = 0;
	for (uint64_t end_ns = clock_now_ns() + CLOCK_NS_PER_S / 5; clock_now_ns() < end_ns;)
		sched_yield();
	kill(f.child, SIGKILL);
	const uint64_t told_ns = clock_now_ns();
	processes_exit(f.processes, f.child, told_ns);
	/* what is told late is of then all the same */
	for (uint64_t end_ns = told_ns + CLOCK_NS_PER_S / 5; clock_now_ns() < end_ns;)
		sched_yield();
	wall_round(&f.wall, clock_now_ns());
	for (size_t i = 0; i < f.profile->n_samples; i++) {
		const struct profile_sample_key *key = &f.profile->samples[i];
		const uint64_t value_ns = (uint64_t)f.profile->values[i * 2 + 1];
		if (f.profile->threads[key->thread.v].tid != (uint32_t)f.child)
			continue;
		sum_ns += value_ns;
		if (key->inferred == CP_INFERRED_WAIT && key->state == CP_STATE_WAIT)
			marked_ns += value_ns;
	}
	assert_in_range(sum_ns, told_ns - since_ns - CLOCK_NS_PER_S / 50, told_ns - since_ns);
	assert_true(marked_ns >= CLOCK_NS_PER_S / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wall__every_thread_counts_for_all_of_its_time,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_wall__few_looks_make_no_less_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_wall__an_end_between_two_looks, setup,
						teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
