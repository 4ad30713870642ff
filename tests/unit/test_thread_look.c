/* Looks at threads of this process, whose state the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/thread_look.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN_BYTES = 2048 };

/* A thread that does what it was made for until it is told to end. */
struct other {
	pthread_t thread;
	_Atomic pid_t tid;
	_Atomic bool end;
	int pipe[2];
	const uint8_t *pattern; /* on its stack */
};

static struct other other;
static struct thread_look look;
static struct thread_copy copy;
static struct thread_sched sched;

static pid_t start(void *(*run)(void *))
{
	memset(&other, 0, sizeof(other));
	assert_int_equal(pipe(other.pipe), 0);
	assert_int_equal(pthread_create(&other.thread, NULL, run, &other), 0);
	while (!other.tid)
		sched_yield();
	return other.tid;
}

static void finish(void)
{
	other.end = true;
	assert_int_equal(write(other.pipe[1], "x", 1), 1);
	pthread_join(other.thread, NULL);
	close(other.pipe[0]);
	close(other.pipe[1]);
	thread_look_deinit(&look);
	memset(&look, 0, sizeof(look));
}

static enum thread_look_status look_at(uint64_t slices)
{
	return thread_look_at(&look, getpid(), other.tid, THREAD_LOOK_MIN_BYTES, slices, &copy,
			      &sched);
}

static void look_until(enum thread_look_status wanted)
{
	while (look_at(0) != wanted)
		sched_yield();
}

static void *read_pipe(void *arg)
{
	struct other *o = arg;
	volatile uint8_t pattern[PATTERN_BYTES];
	char byte;
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		pattern[i] = (uint8_t)(i * 31 + 7);
	o->pattern = (const uint8_t *)pattern;
	o->tid = gettid();
	while (!o->end && read(o->pipe[0], &byte, 1) == 1)
		;
	return NULL;
}

static void test_thread_look__a_waiting_thread_is_taken_whole(void **state)
{
	(void)state;
	start(read_pipe);
	look_until(THREAD_LOOK_TAKEN);
	assert_true(copy.in_syscall);
	assert_int_equal(copy.syscall_nr, SYS_read);
	assert_int_equal(copy.syscall_args[0], other.pipe[0]);
	assert_int_equal(copy.syscall_args[2], 1);
	assert_int_equal(copy.pause_ns, 0);
	assert_int_equal(copy.regs_known, unwind_regs_walk_bits() & ~unwind_regs_fp_bit());
	const uint64_t off = (uint64_t)(uintptr_t)other.pattern - unwind_regs_sp(&copy.regs);
	assert_int_equal(copy.stack.sp, unwind_regs_sp(&copy.regs));
	assert_true(off + PATTERN_BYTES <= copy.stack.n_bytes);
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		assert_int_equal(copy.stack.bytes[off + i], (uint8_t)(i * 31 + 7));
	finish();
}

static void test_thread_look__what_has_not_run_is_not_taken_again(void **state)
{
	(void)state;
	start(read_pipe);
	look_until(THREAD_LOOK_TAKEN);
	const uint64_t slices = sched.slices;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(look_at(slices), THREAD_LOOK_UNCHANGED);
		assert_int_equal(sched.slices, slices);
	}
	/* it reads the byte and waits at the same place: it has run all the same */
	assert_int_equal(write(other.pipe[1], "x", 1), 1);
	enum thread_look_status status;
	do
		status = look_at(slices);
	while (status == THREAD_LOOK_UNCHANGED || status == THREAD_LOOK_RUNNING);
	assert_int_equal(status, THREAD_LOOK_TAKEN);
	assert_true(sched.slices > slices);
	finish();
}

static void *spin(void *arg)
{
	struct other *o = arg;
	o->tid = gettid();
	while (!o->end)
		;
	return NULL;
}

static void test_thread_look__a_running_thread_is_left_alone(void **state)
{
	(void)state;
	start(spin);
	look_until(THREAD_LOOK_RUNNING);
	for (int i = 0; i < 100; i++)
		assert_int_equal(look_at(0), THREAD_LOOK_RUNNING);
	finish();
}

static void *flicker(void *arg)
{
	struct other *o = arg;
	volatile uint8_t pattern[PATTERN_BYTES];
	o->pattern = (const uint8_t *)pattern;
	for (unsigned round = 0; !o->end; round++) {
		const struct timespec pause = {0, (round % 8) * 5000};
		for (size_t i = 0; i < PATTERN_BYTES; i++)
			pattern[i] = (uint8_t)round;
		o->tid = gettid();
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* While it waits, its stack holds one number; what is torn between two waits holds two. */
static void test_thread_look__what_has_moved_is_thrown_away(void **state)
{
	(void)state;
	unsigned taken = 0;
	start(flicker);
	const uint64_t until_ns = clock_now_ns() + CLOCK_NS_PER_S;
	while (clock_now_ns() < until_ns || taken < 100) {
		if (look_at(0) != THREAD_LOOK_TAKEN)
			continue;
		taken++;
		const uint64_t off =
			(uint64_t)(uintptr_t)other.pattern - unwind_regs_sp(&copy.regs);
		if (off > copy.stack.n_bytes - PATTERN_BYTES)
			continue; /* before its first wait */
		if (!copy.in_syscall || copy.syscall_nr != SYS_clock_nanosleep)
			continue; /* a page fault, in the middle of it */
		for (size_t i = 1; i < PATTERN_BYTES; i++)
			assert_int_equal(copy.stack.bytes[off + i], copy.stack.bytes[off]);
	}
	assert_int_equal(look.counts[THREAD_LOOK_TAKEN], taken);
	finish();
}

static void test_thread_look__the_scheduler_counts_what_a_thread_runs(void **state)
{
	(void)state;
	struct thread_sched before, after;
	const pid_t tid = start(spin);
	assert_int_equal(thread_look_sched(getpid(), tid, &before), 0);
	if (before.has_times) {
		/* another clock's word for it */
		clockid_t clock;
		assert_int_equal(pthread_getcpuclockid(other.thread, &clock), 0);
		uint64_t at_ns[4] = {clock_read_ns(clock)};
		assert_int_equal(thread_look_sched(getpid(), tid, &before), 0);
		at_ns[1] = clock_read_ns(clock);
		do
			at_ns[2] = clock_read_ns(clock);
		while (at_ns[2] - at_ns[1] < CLOCK_NS_PER_S / 5);
		assert_int_equal(thread_look_sched(getpid(), tid, &after), 0);
		at_ns[3] = clock_read_ns(clock);
		/* up to some clock ticks behind at both ends */
		const uint64_t behind_ns = CLOCK_NS_PER_S / 50;
		assert_in_range(after.run_ns - before.run_ns, at_ns[2] - at_ns[1] - behind_ns,
				at_ns[3] - at_ns[0] + behind_ns);
	}
	finish();
}

static void test_thread_look__a_thread_that_has_ended_is_gone(void **state)
{
	(void)state;
	start(read_pipe);
	const pid_t tid = other.tid;
	finish();
	/* the kernel may still be busy with its end */
	enum thread_look_status status;
	do
		status = thread_look_at(&look, getpid(), tid, THREAD_LOOK_MIN_BYTES, 0, &copy,
					&sched);
	while (status == THREAD_LOOK_RUNNING || status == THREAD_LOOK_MOVED);
	assert_int_equal(status, THREAD_LOOK_GONE);
	assert_int_equal(thread_look_sched(getpid(), tid, &sched), -ESRCH);
	thread_look_deinit(&look);
}

/* Another user may not look. */
static void test_thread_look__others_processes_are_refused(void **state)
{
	(void)state;
	enum { NOBODY = 65534 };
	if (geteuid() != 0) /* then there is no one to become, and init is another's */
		assert_int_equal(
			thread_look_at(&look, 1, 1, THREAD_LOOK_MIN_BYTES, 0, &copy, &sched),
			THREAD_LOOK_REFUSED);
	const pid_t child = fork();
	if (child == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(1);
		_exit(thread_look_at(&look, 1, 1, THREAD_LOOK_MIN_BYTES, 0, &copy, &sched) ==
				      THREAD_LOOK_REFUSED
			      ? 0
			      : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	thread_look_deinit(&look);
}

static void test_thread_look__lines_of_the_kernel(void **state)
{
	(void)state;
	assert_true(thread_look_parse("202 0x7f01 0x80 0x2 0x0 0x0 0xffffffff 0x7ffd10 0x7f4410\n",
				      &copy));
	assert_true(copy.in_syscall);
	assert_int_equal(copy.syscall_nr, 202);
	assert_int_equal(copy.syscall_args[0], 0x7f01);
	assert_int_equal(copy.syscall_args[5], 0xffffffff);
	assert_int_equal(unwind_regs_sp(&copy.regs), 0x7ffd10);
	assert_int_equal(unwind_regs_pc(&copy.regs), 0x7f4410);
	assert_true(thread_look_parse("-1 0x7ffd10 0x7f4410\n", &copy));
	assert_false(copy.in_syscall);
	assert_int_equal(unwind_regs_sp(&copy.regs), 0x7ffd10);
	static const char *const others[] = {"running\n",
					     "",
					     "202\n",
					     "202 0x1 0x2\n",
					     "-1 0x7ffd10\n",
					     "-1 7ffd10 0x1\n",
					     "0 0x0 0x0 0x0 0x0 0x0 0x0 0x1 0x2 0x3\n",
					     "0 0x0 0x0 0x0 0x0 0x0 0x0 0x1\n"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(thread_look_parse(others[i], &copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_look__a_waiting_thread_is_taken_whole),
		cmocka_unit_test(test_thread_look__what_has_not_run_is_not_taken_again),
		cmocka_unit_test(test_thread_look__a_running_thread_is_left_alone),
		cmocka_unit_test(test_thread_look__what_has_moved_is_thrown_away),
		cmocka_unit_test(test_thread_look__the_scheduler_counts_what_a_thread_runs),
		cmocka_unit_test(test_thread_look__a_thread_that_has_ended_is_gone),
		cmocka_unit_test(test_thread_look__others_processes_are_refused),
		cmocka_unit_test(test_thread_look__lines_of_the_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
