#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/dump_size.h"
#include "capture/perf_events.h"
#include "capture/perf_record.h"

#include "../support/first_in_line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RATE_HZ = 999, BIRTHS_MAX = 100, RUNGS_USED = 5 };
#define PERIOD_NS (CLOCK_NS_PER_S / RATE_HZ)
#define RUN_NS (2 * CLOCK_NS_PER_S)

static _Alignas(8) uint8_t scratch[PERF_RING_RECORD_MAX];

/* What the rings told of one process. */
struct seen {
	const struct perf_events *events;
	struct perf_layout layout;
	uint32_t pid;
	uint64_t samples, lost, other;
	uint64_t by_size[DUMP_RUNGS]; /* samples by the room of their dumps */
	uint32_t born[2 * BIRTHS_MAX];
	size_t n_born;
};

static void see_birth(struct seen *seen, uint32_t pid)
{
	for (size_t i = 0; i < seen->n_born; i++) {
		if (seen->born[i] == pid)
			return;
	}
	assert_true(seen->n_born < sizeof(seen->born) / sizeof(seen->born[0]));
	seen->born[seen->n_born++] = pid;
}

static void see(void *ctx, const struct perf_event_header *header)
{
	struct seen *seen = ctx;
	struct perf_record record;
	assert_true(perf_record_parse(header, &seen->layout, &record));
	if (header->type == PERF_RECORD_LOST || header->type == PERF_RECORD_LOST_SAMPLES)
		seen->lost += record.lost;
	if (header->type == PERF_RECORD_FORK && record.task.parent_pid == seen->pid)
		see_birth(seen, record.task.tid);
	if (header->type != PERF_RECORD_SAMPLE)
		return;
	if (perf_events_owner(seen->events, record.id) == PERF_OWNER_NONE)
		seen->other++;
	if (record.pid != seen->pid ||
	    perf_events_is_double(seen->events, record.id, record.time_ns))
		return;
	seen->samples++;
	/* the record's size tells the dump's: the rest of it is less than 1 KB */
	unsigned rung = dump_rung_of(header->size) - 1;
	if (rung < DUMP_RUNGS)
		seen->by_size[rung]++;
}

static void drain(const struct perf_events *events, struct seen *seen)
{
	assert_int_equal(
		perf_rings_drain(events->rings, events->n_rings, UINT64_MAX, scratch, see, seen),
		0);
}

static volatile uint64_t sink;

static void burn_for(uint64_t ns)
{
	uint64_t end_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
	while (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns) {
		for (uint64_t i = 0; i < 10000; i++)
			sink = sink * 3 + i;
	}
}

static void *burn_in_thread(void *ns)
{
	burn_for(*(const uint64_t *)ns);
	return NULL;
}

/* A child that runs when it is let go, on two threads, and has children all the while. */
static pid_t start_target(int n_births, int *go_fd)
{
	int go[2];
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char byte;
		uint64_t half_ns = RUN_NS / 2;
		pthread_t thread;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(go[0], &byte, 1) != 1 ||
		    pthread_create(&thread, NULL, burn_in_thread, &half_ns))
			_exit(1);
		for (int i = 0; i < n_births; i++) {
			burn_for(half_ns / (uint64_t)n_births);
			pid_t child = fork();
			if (child == 0)
				_exit(0);
			waitpid(child, NULL, 0);
		}
		pthread_join(thread, NULL);
		_exit(0);
	}
	close(go[0]);
	*go_fd = go[1];
	return pid;
}

static void open_events(struct perf_events *events, enum perf_follow follow)
{
	const struct perf_setup setup = {.rate_hz = RATE_HZ, .follow = follow};
	struct cp_err err = {""};
	if (perf_events_open(&setup, events, &err) != 0)
		fail_msg("%s", err.message);
}

/* The process' own CPU time when it ended, without that of its children. */
static uint64_t finish(pid_t pid, clockid_t clock, const struct perf_events *events,
		       struct seen *seen)
{
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, 0);
	uint64_t used_ns = clock_read_ns(clock);
	drain(events, seen);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return used_ns;
}

/* Another size every few milliseconds until the target has ended. */
static size_t change_all_the_time(struct perf_events *events, pid_t pid, struct seen *seen)
{
	const struct timespec pause = {.tv_nsec = 3000000};
	siginfo_t info = {0};
	size_t n = 0;
	for (unsigned i = 0; info.si_pid == 0; i++) {
		uint32_t before = events->setup.dump_bytes;
		assert_int_equal(perf_events_set_dump(events, dump_rung_bytes(i * 2 % RUNGS_USED)),
				 0);
		n += events->setup.dump_bytes != before;
		nanosleep(&pause, NULL);
		drain(events, seen);
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG), 0);
	}
	return n;
}

/*
 * At 3 ms a change, half a period lost with each would be a sixth of all samples. What may be off:
 * what is left of a period in each event, what a hypervisor takes (2 %), what found no
 * room in a ring on a busy machine, and with timers of CPUs,
 * which hit a thread at random, five standard deviations.
 */
static void assert_samples_are_the_time(const struct seen *seen, uint64_t used_ns, size_t n_events,
					bool at_random)
{
	double expected = (double)used_ns / (double)PERIOD_NS;
	double off = (double)seen->samples - expected;
	double allowed = (double)n_events + 0.02 * expected + (double)seen->lost;
	double variance = 0;
	if (at_random)
		variance = expected;
	if (off * off > 2 * (allowed * allowed + 25 * variance))
		fail_msg("%llu samples, not about %.0f", (unsigned long long)seen->samples,
			 expected);
}

static void assert_changes_lose_nothing(enum perf_follow follow)
{
	struct perf_events events;
	int go_fd;
	clockid_t clock;
	/*
	 * With timers of threads each birth may cost one sample anyway: when the kernel goes from a
	 * parent to its new child, they swap their events, and what is left of a period there goes
	 * when the child does.
	 */
	int n_births = follow == PERF_FOLLOW_NONE ? BIRTHS_MAX : 10;
	pid_t pid = start_target(n_births, &go_fd);
	first_in_line();
	open_events(&events, follow);
	assert_int_equal(follow == PERF_FOLLOW_NONE ? perf_events_attach_system(&events)
						    : perf_events_attach(&events, pid),
			 0);
	perf_events_enable(&events);
	struct seen seen = {.events = &events, .layout = perf_attr_layout(), .pid = (uint32_t)pid};
	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	uint64_t before_ns = clock_read_ns(clock);
	assert_int_equal(write(go_fd, "", 1), 1);
	size_t n_changes = change_all_the_time(&events, pid, &seen);
	uint64_t used_ns = finish(pid, clock, &events, &seen) - before_ns;
	assert_in_range(n_changes, 50, 100000);
	assert_int_equal(seen.other, 0);
	assert_samples_are_the_time(&seen, used_ns, events.n_handles * 2,
				    follow == PERF_FOLLOW_NONE);
	/* each birth is told, whichever events were on: the thread's and the children's */
	assert_in_range(seen.n_born + seen.lost, n_births + 1, UINT64_MAX);
	assert_in_range(seen.n_born, 0, n_births + 1);
	/* when all of a second is lost, nothing has been shown */
	assert_in_range(seen.lost, 0, 200);
	unsigned n_sizes = 0;
	for (unsigned i = 0; i < DUMP_RUNGS; i++)
		n_sizes += seen.by_size[i] > 0;
	assert_in_range(n_sizes, follow == PERF_FOLLOW_NONE ? RUNGS_USED : 2, RUNGS_USED);
	perf_events_close(&events);
	close(go_fd);
}

static void test_perf_events__changes_of_dump_size_lose_nothing_on_cpus(void **state)
{
	(void)state;
	assert_changes_lose_nothing(PERF_FOLLOW_NONE);
}

static void test_perf_events__changes_of_dump_size_lose_nothing_on_threads(void **state)
{
	(void)state;
	assert_changes_lose_nothing(PERF_FOLLOW_CHILDREN);
}

static void test_perf_events__a_size_that_cannot_be_opened_changes_nothing(void **state)
{
	(void)state;
	struct perf_events events;
	struct rlimit limit, none;
	open_events(&events, PERF_FOLLOW_NONE);
	assert_int_equal(perf_events_attach_system(&events), 0);
	perf_events_enable(&events);
	size_t n_handles = events.n_handles;
	uint32_t bytes = events.setup.dump_bytes;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int code = perf_events_set_dump(&events, 2 * bytes);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(code, -EMFILE);
	assert_int_equal(events.setup.dump_bytes, bytes);
	assert_int_equal(events.n_handles, n_handles);
	assert_int_equal(perf_events_set_dump(&events, 2 * bytes), 0);
	assert_int_equal(events.setup.dump_bytes, 2 * bytes);
	assert_int_equal(events.n_handles, 2 * n_handles);
	perf_events_close(&events);
}

static void test_perf_events__one_size_where_descriptors_are_few(void **state)
{
	(void)state;
	struct perf_events events;
	size_t limit;
	open_events(&events, PERF_FOLLOW_CHILDREN);
	assert_in_range(events.n_sizes, 2, PERF_EVENTS_SIZES);
	struct rlimit old, few;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){.rlim_cur = 300 + 100 * events.n_rings, .rlim_max = old.rlim_max};
	assert_int_equal(perf_events_fit(&events, 100, &limit), true);
	size_t n_sizes = events.n_sizes;
	pid_t pid = fork(); /* a hard limit cannot be raised again by everybody */
	if (pid == 0) {
		few.rlim_max = few.rlim_cur;
		_exit(setrlimit(RLIMIT_NOFILE, &few) == 0 &&
				      perf_events_fit(&events, 100, &limit) && events.n_sizes == 1
			      ? 0
			      : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(n_sizes > 1);
	perf_events_close(&events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_events__changes_of_dump_size_lose_nothing_on_cpus),
		cmocka_unit_test(test_perf_events__changes_of_dump_size_lose_nothing_on_threads),
		cmocka_unit_test(test_perf_events__a_size_that_cannot_be_opened_changes_nothing),
		cmocka_unit_test(test_perf_events__one_size_where_descriptors_are_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
