/* Stops of child processes that do what the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/procfs.h"
#include "capture/thread_stop.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATTERN_BYTES = 1024, DUMP_BYTES = 8192 };

/* Of the child and the test. */
struct shared {
	_Atomic uint64_t rounds;  /* of its work */
	_Atomic uint64_t returns; /* of the call that it waits in */
	_Atomic int error;        /* errno of the last one */
	_Atomic bool ready, end;
	_Atomic uint64_t signals, out_of_order;
};

static struct shared *shared;
static struct watchdog no_watchdog;
static struct thread_stopper stopper;
static struct thread_copy copy;
static uint64_t n_pauses, longest_ns;

static void on_pause(void *ctx, uint64_t pause_ns)
{
	(void)ctx;
	n_pauses++;
	longest_ns = pause_ns > longest_ns ? pause_ns : longest_ns;
}

static int setup(void **state)
{
	(void)state;
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	stopper = (struct thread_stopper){.watchdog = &no_watchdog, .on_pause = on_pause};
	n_pauses = longest_ns = 0;
	return shared == MAP_FAILED ? -1 : thread_stopper_init(&stopper);
}

static int teardown(void **state)
{
	(void)state;
	thread_stopper_deinit(&stopper);
	return munmap(shared, sizeof(*shared));
}

static pid_t start(void (*run)(void))
{
	const pid_t pid = fork();
	if (pid == 0) {
		run();
		_exit(0);
	}
	assert_true(pid > 0);
	stopper.own_child = pid;
	return pid;
}

/* In a group of its own, with all its children. */
static pid_t start_group(void (*run)(void))
{
	const pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		run();
		_exit(0);
	}
	assert_true(pid > 0);
	setpgid(pid, pid);
	stopper.own_child = pid;
	return pid;
}

static enum thread_stop_status take(pid_t pid)
{
	return thread_stop_take(&stopper, pid, pid, DUMP_BYTES, &copy);
}

/* On a machine with much else to do, a thread may be given no CPU in time. */
static enum thread_stop_status take_at_last(pid_t pid)
{
	enum thread_stop_status status;
	do
		status = take(pid);
	while (status == THREAD_STOP_LATE);
	return status;
}

/* Its end, while stops go on: to waitpid() a late stop would look like one. */
static int wait_for_end(pid_t pid)
{
	siginfo_t info = {0};
	int status;
	while (info.si_code != CLD_EXITED && info.si_code != CLD_KILLED) {
		info.si_code = 0;
		take(pid);
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static char state_of(pid_t pid)
{
	char state;
	procfs_tracer(pid, &state);
	return state;
}

static void wait_for_state(pid_t pid, char state)
{
	while (state_of(pid) != state)
		thread_stopper_poll(&stopper); /* a late stop would last for ever */
}

static void wait_for_change(const _Atomic uint64_t *of)
{
	const uint64_t before = *of;
	while (*of == before)
		thread_stopper_poll(&stopper);
}

static void assert_free(pid_t pid)
{
	char state;
	assert_int_equal(procfs_tracer(pid, &state), 0);
	assert_int_not_equal(state, 't');
}

static void kill_and_reap(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* A call keeps the pattern out of the red zone, which no copy has. */
static __attribute__((noinline)) void touch(volatile uint8_t *pattern)
{
	pattern[0] = 3;
	shared->rounds++;
}

static void work(void)
{
	volatile uint8_t pattern[PATTERN_BYTES];
	for (size_t i = 0; i < PATTERN_BYTES; i++)
		pattern[i] = (uint8_t)(i * 7 + 3);
	for (shared->ready = true;;)
		touch(pattern);
}

static bool has_pattern(const struct unwind_stack *stack)
{
	for (size_t at = 0; at + PATTERN_BYTES <= stack->n_bytes; at++) {
		size_t i = 0;
		while (i < PATTERN_BYTES && stack->bytes[at + i] == (uint8_t)(i * 7 + 3))
			i++;
		if (i == PATTERN_BYTES)
			return true;
	}
	return false;
}

static void test_thread_stop__takes_registers_and_stack_and_lets_go(void **state)
{
	(void)state;
	const pid_t pid = start(work);
	while (!shared->ready)
		sched_yield();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(take_at_last(pid), THREAD_STOP_TAKEN);
		assert_free(pid);
		assert_true(has_pattern(&copy.stack));
		/* a copy of this process: its code lies where ours does */
		const uint64_t pc = unwind_regs_pc(&copy.regs);
		assert_true(pc - (uint64_t)(uintptr_t)work < 4096 ||
			    pc - (uint64_t)(uintptr_t)touch < 4096);
		assert_int_equal(copy.stack.sp, unwind_regs_sp(&copy.regs));
		assert_false(copy.in_syscall);
		assert_true(copy.pause_ns > 0 && copy.pause_ns < CLOCK_NS_PER_S);
		wait_for_change(&shared->rounds);
	}
	assert_in_range(n_pauses, 100, UINT64_MAX);
	assert_int_equal(stopper.counts.by_status[THREAD_STOP_TAKEN], 100);
	kill_and_reap(pid);
}

static void count_return(long result)
{
	shared->error = result < 0 ? errno : 0;
	shared->returns++;
}

static void wait_in_epoll(void)
{
	struct epoll_event event;
	count_return(epoll_wait(epoll_create1(0), &event, 1, 600000));
}

static void wait_in_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t all;
	sigfillset(&all);
	count_return(epoll_pwait(epoll_create1(0), &event, 1, 600000, &all));
}

static void wait_in_sigtimedwait(void)
{
	const struct timespec timeout = {.tv_sec = 600};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	count_return(sigtimedwait(&set, NULL, &timeout));
}

static void wait_in_semtimedop(void)
{
	const struct timespec timeout = {.tv_sec = 600};
	struct sembuf operation = {.sem_op = -1};
	const int id = semget(IPC_PRIVATE, 1, 0600);
	shared->rounds = (uint64_t)id; /* for the test, which removes it */
	count_return(semtimedop(id, &operation, 1, &timeout));
}

static int socket_with_timeout(void)
{
	const struct timeval timeout = {.tv_sec = 600};
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return pair[0];
}

static void wait_in_recv(void)
{
	char byte;
	count_return(recv(socket_with_timeout(), &byte, 1, 0));
}

static void wait_in_read(void)
{
	char byte;
	count_return(read(socket_with_timeout(), &byte, 1));
}

/* Calls that return EINTR after any stop: a program that is let go is in them still. */
static void test_thread_stop__calls_that_would_return_eintr_are_entered_again(void **state)
{
	(void)state;
	static const struct {
		void (*wait)(void);
		long nr;
	} calls[] = {
		{wait_in_epoll, SYS_epoll_wait},
		{wait_in_epoll_pwait, SYS_epoll_pwait},
		{wait_in_sigtimedwait, SYS_rt_sigtimedwait},
		{wait_in_semtimedop, SYS_semtimedop},
		{wait_in_recv, SYS_recvfrom},
		{wait_in_read, SYS_read},
	};
	uint64_t rewound = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const pid_t pid = start(calls[i].wait);
		char path[64], text[128];
		long nr = -1;
		snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
		while (nr != calls[i].nr) {
			if (procfs_read(path, text, sizeof(text)) > 0)
				sscanf(text, "%ld", &nr);
		}
		for (int k = 0; k < 20; k++) {
			enum thread_stop_status status;
			do {
				wait_for_state(pid, 'S');
				status = take(pid);
			} while (status == THREAD_STOP_LATE);
			assert_int_equal(status, THREAD_STOP_TAKEN);
			assert_true(copy.in_syscall);
			assert_int_equal(copy.syscall_nr, calls[i].nr);
			rewound++;
		}
		wait_for_state(pid, 'S');
		assert_int_equal(shared->returns, 0);
		assert_in_range(stopper.counts.rewound, rewound, 2 * rewound);
		if (calls[i].nr == SYS_semtimedop)
			semctl((int)shared->rounds, 0, IPC_RMID);
		else
			kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		shared->returns = 0;
	}
	assert_int_equal(stopper.counts.eintr_left, 0);
}

static void ignore_it(int signal)
{
	(void)signal;
}

static void wait_and_catch(void)
{
	struct epoll_event event;
	signal(SIGUSR1, ignore_it);
	for (;;)
		count_return(epoll_wait(epoll_create1(0), &event, 1, 600000));
}

/* A signal with a handler makes epoll_wait return EINTR, in whatever moment it comes. */
static void test_thread_stop__an_eintr_of_the_programs_own_is_left_alone(void **state)
{
	(void)state;
	const pid_t pid = start(wait_and_catch);
	for (uint64_t i = 0; i < 200; i++) {
		wait_for_state(pid, 'S');
		assert_int_equal(shared->returns, i);
		kill(pid, SIGUSR1);
		take(pid);
		while (shared->returns == i)
			take(pid);
		assert_int_equal(shared->error, EINTR);
	}
	kill_and_reap(pid);
}

static void count_value(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	shared->out_of_order += (uint64_t)info->si_value.sival_int != shared->signals;
	shared->signals++;
}

static void work_and_count_signals(void)
{
	const struct sigaction action = {.sa_sigaction = count_value, .sa_flags = SA_SIGINFO};
	sigaction(SIGRTMIN, &action, NULL);
	for (shared->ready = true; !shared->end;)
		shared->rounds++;
}

static void test_thread_stop__queued_signals_arrive_each_once_and_in_order(void **state)
{
	(void)state;
	enum { SIGNALS = 20000 };
	const pid_t pid = start(work_and_count_signals);
	int status;
	while (!shared->ready)
		sched_yield();
	const pid_t sender = fork();
	if (sender == 0) {
		for (int i = 0; i < SIGNALS; i++) {
			while (sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = i}) < 0)
				sched_yield();
		}
		_exit(0);
	}
	while (shared->signals < SIGNALS)
		take(pid);
	shared->end = true;
	assert_int_equal(waitpid(sender, &status, 0), sender);
	assert_int_equal(wait_for_end(pid), 0);
	assert_int_equal(shared->signals, SIGNALS);
	assert_int_equal(shared->out_of_order, 0);
	assert_true(stopper.counts.by_status[THREAD_STOP_TAKEN] > 100);
}

static void test_thread_stop__job_control_is_not_undone(void **state)
{
	(void)state;
	const pid_t pid = start(work);
	int status;
	for (int i = 0; i < 20; i++) {
		wait_for_change(&shared->rounds);
		kill(pid, SIGSTOP);
		take(pid);
		wait_for_state(pid, 'T');
		const uint64_t before = shared->rounds;
		take(pid); /* while it is stopped: it stays so */
		wait_for_state(pid, 'T');
		assert_free(pid);
		assert_int_equal(shared->rounds, before);
		kill(pid, SIGCONT);
		take(pid);
	}
	assert_true(stopper.counts.by_status[THREAD_STOP_HELD] >= 10);
	while (waitpid(pid, &status, WNOHANG | WUNTRACED | WCONTINUED) > 0)
		assert_false(WIFEXITED(status) || WIFSIGNALED(status));
	wait_for_change(&shared->rounds);
	kill_and_reap(pid);
}

static void wait_for_vfork_child_until(time_t seconds, long ns)
{
	const struct timespec time = {.tv_sec = seconds, .tv_nsec = ns};
	/* on purpose: its parent waits in a way that no signal ends */
	const pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (child == 0) {
		/* shares our memory: nothing but system calls */
		nanosleep(&time, NULL); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(7);
	}
	int status;
	const bool is_right = waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7;
	_exit(is_right ? 0 : 1);
}

static void wait_for_vfork_child(void)
{
	wait_for_vfork_child_until(0, 200000000);
}

static void *work_beside(void *unused)
{
	work();
	return unused;
}

/* Its first thread waits so, for long; its second one works. */
static void wait_for_vfork_child_beside_work(void)
{
	pthread_t thread;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_create(&thread, NULL, work_beside, NULL);
	wait_for_vfork_child_until(600, 0);
}

/* The thread of a process with two that is not its first one. */
static pid_t second_thread(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	pid_t tid = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != pid)
			tid = atoi(entry->d_name);
	}
	closedir(tasks);
	return tid;
}

/* The child of vfork() shares the group, and would sleep on. */
static void kill_group_and_reap(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill_and_reap(pid);
}

static void test_thread_stop__a_thread_that_does_not_stop_is_not_waited_for(void **state)
{
	(void)state;
	const pid_t pid = start(wait_for_vfork_child);
	int status;
	wait_for_state(pid, 'D');
	const uint64_t before_ns = clock_now_ns();
	assert_int_equal(take(pid), THREAD_STOP_LATE);
	assert_true(clock_now_ns() - before_ns < 2 * THREAD_STOP_PATIENCE_NS + CLOCK_NS_PER_S / 10);
	assert_true(thread_stopper_has_late(&stopper));
	assert_int_equal(take(pid), THREAD_STOP_LATE); /* not asked a second time */
	assert_int_equal(stopper.counts.by_status[THREAD_STOP_LATE], 1);
	assert_int_equal(stopper.counts.left_out, 1);
	while (thread_stopper_has_late(&stopper))
		thread_stopper_poll(&stopper);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(n_pauses, 1);
}

static void test_thread_stop__beside_a_late_thread_none_of_its_process_is_stopped(void **state)
{
	(void)state;
	const pid_t pid = start_group(wait_for_vfork_child_beside_work);
	while (!shared->ready)
		sched_yield();
	wait_for_state(pid, 'D');
	const pid_t other = second_thread(pid);
	assert_int_equal(take(pid), THREAD_STOP_LATE);
	for (uint64_t i = 0; i < 10; i++) {
		assert_int_equal(stopper.counts.left_out, i);
		assert_int_equal(thread_stop_take(&stopper, pid, other, DUMP_BYTES, &copy),
				 THREAD_STOP_LATE);
		assert_free(other);
	}
	assert_int_equal(stopper.counts.by_status[THREAD_STOP_LATE], 1);
	kill_group_and_reap(pid);
}

static bool give_up(void *ctx)
{
	uint64_t *n = ctx;
	(*n)++;
	return true;
}

/* Of several tries, as on a busy machine one may take as long for other reasons. */
static void test_thread_stop__a_wait_is_given_up_when_that_is_asked_for(void **state)
{
	(void)state;
	enum { TRIES = 20 };
	uint64_t n_asked = 0, n_slow = 0, shortest_ns = UINT64_MAX;
	stopper.gives_up = give_up;
	stopper.gives_up_ctx = &n_asked;
	for (uint64_t i = 0; i < TRIES && shortest_ns > THREAD_STOP_PATIENCE_NS / 4; i++) {
		const pid_t pid = start_group(wait_for_vfork_child_beside_work);
		wait_for_state(pid, 'D');
		const uint64_t before_ns = clock_now_ns();
		assert_int_equal(take(pid), THREAD_STOP_LATE);
		const uint64_t took_ns = clock_now_ns() - before_ns;
		shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
		assert_int_equal(n_asked, i + 1);
		n_slow += took_ns > THREAD_STOP_PATIENCE_NS;
		assert_in_range(stopper.counts.by_status[THREAD_STOP_LATE], 0, n_slow);
		/* it is given its time at the end, and then counted */
		thread_stopper_finish(&stopper, clock_now_ns() + CLOCK_NS_PER_S / 1000);
		assert_int_equal(stopper.counts.unstopped, i + 1);
		kill_group_and_reap(pid);
		thread_stopper_poll(&stopper);
		assert_false(thread_stopper_has_late(&stopper));
	}
	assert_in_range(shortest_ns, 0, THREAD_STOP_PATIENCE_NS / 4);
}

/* Asked while another stop is waited for: goes on when the late thread stands still. */
static bool wait_for_late_stop(void *ctx)
{
	const pid_t *pid = ctx;
	while (state_of(*pid) == 'D')
		sched_yield();
	return false;
}

static void test_thread_stop__a_late_thread_does_not_wait_for_the_stop_of_another(void **state)
{
	(void)state;
	pid_t late = start(wait_for_vfork_child);
	int status;
	wait_for_state(late, 'D');
	const pid_t other = start_group(wait_for_vfork_child_beside_work);
	wait_for_state(other, 'D');
	assert_int_equal(take(late), THREAD_STOP_LATE);
	stopper.gives_up = wait_for_late_stop;
	stopper.gives_up_ctx = &late;
	assert_int_equal(take(other), THREAD_STOP_LATE);
	unsigned n_late = 0;
	for (size_t i = 0; i < sizeof(stopper.late) / sizeof(stopper.late[0]); i++) {
		assert_int_not_equal(stopper.late[i].tid, late);
		n_late += stopper.late[i].tid == other;
	}
	assert_int_equal(n_late, 1);
	assert_int_equal(waitpid(late, &status, 0), late);
	assert_int_equal(status, 0);
	kill_group_and_reap(other);
	while (thread_stopper_has_late(&stopper))
		thread_stopper_poll(&stopper);
}

static void test_thread_stop__at_the_end_a_late_thread_is_waited_for(void **state)
{
	(void)state;
	const pid_t pid = start(wait_for_vfork_child);
	int status;
	wait_for_state(pid, 'D');
	assert_int_equal(take(pid), THREAD_STOP_LATE);
	thread_stopper_finish(&stopper, UINT64_MAX);
	assert_int_equal(stopper.counts.unstopped, 0);
	assert_false(thread_stopper_has_late(&stopper));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void wait_and_ignore(void)
{
	struct epoll_event event;
	const int epoll = epoll_create1(0);
	for (shared->ready = true;;) {
		if (epoll_wait(epoll, &event, 1, 1) < 0 && errno == EINTR)
			shared->returns++;
		shared->rounds++;
	}
}

/* Which a traced process is sent all the same: it has no handler for SIGWINCH. */
static void test_thread_stop__ignored_signals_interrupt_nothing(void **state)
{
	(void)state;
	const pid_t pid = start(wait_and_ignore);
	while (!shared->ready)
		sched_yield();
	const pid_t sender = fork();
	if (sender == 0) {
		for (;;)
			kill(pid, SIGWINCH);
	}
	while (stopper.counts.rewound < 300 || stopper.counts.signals < 100)
		take(pid);
	wait_for_change(&shared->rounds);
	assert_int_equal(shared->returns, 0);
	assert_int_equal(stopper.counts.eintr_left, 0);
	kill_and_reap(sender);
	kill_and_reap(pid);
}

static void end_at_once(void)
{
	_exit(3);
}

static void test_thread_stop__the_end_of_a_child_stays_its_parents_to_see(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		const pid_t pid = start(end_at_once);
		const int status = wait_for_end(pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		assert_int_equal(take(pid), THREAD_STOP_GONE);
	}
}

/* Start one that works, and kill it after a while. Its parent sees its end. */
static void kill_what_works(void)
{
	const pid_t pid = fork();
	if (pid == 0)
		work();
	shared->returns = (uint64_t)pid;
	while (!shared->ready)
		sched_yield();
	const struct timespec while_ns = {.tv_nsec = 1000000 + getpid() % 97 * 10000};
	nanosleep(&while_ns, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	shared->end = true;
}

/* Killed in a stop, it is a zombie that only its tracer sees, until that has waited for it. */
static void test_thread_stop__one_that_is_killed_in_a_stop_ends_for_its_parent(void **state)
{
	(void)state;
	enum { KILLS = 100, SECONDS_MAX = 20 };
	for (int i = 0; i < KILLS; i++) {
		memset(shared, 0, sizeof(*shared));
		const pid_t parent = start(kill_what_works);
		const uint64_t until_ns = clock_now_ns() + SECONDS_MAX * CLOCK_NS_PER_S;
		stopper.own_child = 0;
		while (!shared->ready)
			sched_yield();
		while (!shared->end && clock_now_ns() < until_ns)
			take((pid_t)shared->returns);
		assert_true(shared->end);
		assert_int_equal(waitpid(parent, NULL, 0), parent);
	}
	assert_false(thread_stopper_has_late(&stopper));
}

static void execute_again_and_again(void)
{
	execl("/bin/sh", "sh", "-c", "[ $1 = 300 ] && exit 5; exec sh -c \"$0\" \"$0\" $(($1 + 1))",
	      "[ $1 = 300 ] && exit 5; exec sh -c \"$0\" \"$0\" $(($1 + 1))", "0", NULL);
}

static void test_thread_stop__exec_goes_its_way(void **state)
{
	(void)state;
	const pid_t pid = start(execute_again_and_again);
	const int status = wait_for_end(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 5);
}

static void test_thread_stop__of_another_tracer_is_refused(void **state)
{
	(void)state;
	const pid_t pid = start(work);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	assert_int_equal(take(pid), THREAD_STOP_REFUSED);
	kill_and_reap(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_thread_stop__takes_registers_and_stack_and_lets_go, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__calls_that_would_return_eintr_are_entered_again, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__an_eintr_of_the_programs_own_is_left_alone, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_thread_stop__ignored_signals_interrupt_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__queued_signals_arrive_each_once_and_in_order, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_thread_stop__job_control_is_not_undone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__a_thread_that_does_not_stop_is_not_waited_for, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__beside_a_late_thread_none_of_its_process_is_stopped,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__a_wait_is_given_up_when_that_is_asked_for, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__a_late_thread_does_not_wait_for_the_stop_of_another,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__at_the_end_a_late_thread_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__the_end_of_a_child_stays_its_parents_to_see, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_thread_stop__one_that_is_killed_in_a_stop_ends_for_its_parent, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_thread_stop__exec_goes_its_way, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_thread_stop__of_another_tracer_is_refused,
						setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
