/* Threads of this process that wait for what the test knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/thread_look.h"
#include "capture/wait_info.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct thread_look look;
static struct socket_names sockets;
static struct wait_info info;

static int teardown(void **state)
{
	(void)state;
	thread_look_deinit(&look);
	socket_names_deinit(&sockets);
	return 0;
}

/* What a thread waits for, once it does: in a system call, when @nr is not -1. */
static void look_at(pid_t pid, pid_t tid, long nr)
{
	struct thread_copy copy;
	struct thread_sched sched;
	while (thread_look_at(&look, pid, tid, THREAD_LOOK_MIN_BYTES, 0, &copy, &sched) !=
		       THREAD_LOOK_TAKEN ||
	       (nr >= 0 && copy.syscall_nr != nr))
		sched_yield();
	wait_info_read(&sockets, pid, tid, &copy, &info);
}

/* A thread that calls a function which waits until it is cancelled. */
struct waiter {
	void (*wait)(void);
	_Atomic pid_t tid;
};

static void *run(void *arg)
{
	struct waiter *waiter = arg;
	waiter->tid = gettid();
	waiter->wait();
	return NULL;
}

static void look_at_wait(void (*wait)(void), long nr)
{
	struct waiter waiter = {.wait = wait};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run, &waiter), 0);
	while (!waiter.tid)
		sched_yield();
	look_at(getpid(), waiter.tid, nr);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static _Atomic int futex_word;

static void wait_futex(void)
{
	/* not a point of cancellation: it ends by being woken */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	while (syscall(SYS_futex, &futex_word, 128 /* FUTEX_WAIT_PRIVATE */, 0, NULL) == 0)
		;
}

static void test_wait_info__a_lock_by_its_address(void **state)
{
	(void)state;
	char expected[32];
	snprintf(expected, sizeof(expected), "0x%lx", (unsigned long)(uintptr_t)&futex_word);
	look_at_wait(wait_futex, SYS_futex);
	assert_int_equal(info.state, CP_STATE_LOCK);
	assert_string_equal(info.object, expected);
}

static int fds[2];

static void wait_read(void)
{
	char byte;
	assert_int_equal(read(fds[0], &byte, 1), 1);
}

static void test_wait_info__a_pipe_by_its_name(void **state)
{
	(void)state;
	char path[64], expected[64] = "";
	assert_int_equal(pipe(fds), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	assert_true(readlink(path, expected, sizeof(expected) - 1) > 0);
	look_at_wait(wait_read, SYS_read);
	assert_int_equal(info.state, CP_STATE_IO);
	assert_string_equal(info.object, expected);
	assert_memory_equal(info.object, "pipe:[", 6);
	close(fds[0]);
	close(fds[1]);
}

static int tcp_listen(struct sockaddr_in *address)
{
	socklen_t n = sizeof(*address);
	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &n), 0);
	return fd;
}

static void wait_recv(void)
{
	char byte;
	assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
}

static void wait_accept(void)
{
	accept(fds[1], NULL, NULL);
}

static void test_wait_info__a_connection_by_its_peer(void **state)
{
	(void)state;
	struct sockaddr_in address;
	char expected[64];
	fds[1] = tcp_listen(&address);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&address, sizeof(address)), 0);
	const int accepted = accept(fds[1], NULL, NULL);
	assert_true(accepted >= 0);
	look_at_wait(wait_recv, SYS_recvfrom);
	assert_int_equal(info.state, CP_STATE_IO);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(address.sin_port));
	assert_string_equal(info.object, expected);
	look_at_wait(wait_accept, SYS_accept);
	assert_int_equal(info.state, CP_STATE_IO);
	snprintf(expected, sizeof(expected), "listening on 127.0.0.1:%u", ntohs(address.sin_port));
	assert_string_equal(info.object, expected);
	close(accepted);
	close(fds[0]);
	close(fds[1]);
}

static void wait_sleep(void)
{
	sleep(1000);
}

static void wait_poll(void)
{
	poll(NULL, 0, -1);
}

static void wait_epoll(void)
{
	struct epoll_event event;
	epoll_wait(fds[0], &event, 1, -1);
}

static void test_wait_info__sleep_and_poll(void **state)
{
	(void)state;
	look_at_wait(wait_sleep, SYS_clock_nanosleep);
	assert_int_equal(info.state, CP_STATE_SLEEP);
	assert_string_equal(info.object, "");
	look_at_wait(wait_poll, SYS_poll);
	assert_int_equal(info.state, CP_STATE_POLL);
	fds[0] = epoll_create1(0);
	look_at_wait(wait_epoll, SYS_epoll_wait);
	assert_int_equal(info.state, CP_STATE_POLL);
	close(fds[0]);
}

static pid_t child;

static void wait_child(void)
{
	waitpid(child, NULL, 0);
}

static void test_wait_info__children_and_stops(void **state)
{
	(void)state;
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	look_at_wait(wait_child, SYS_wait4);
	assert_int_equal(info.state, CP_STATE_CHILD);
	look_at(child, child, SYS_pause);
	assert_int_equal(info.state, CP_STATE_WAIT);
	int status;
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	look_at(child, child, -1);
	assert_int_equal(info.state, CP_STATE_STOPPED);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* Taken up again after a stop, they have another number, and are what they were. */
static void test_wait_info__calls_that_a_stop_has_interrupted(void **state)
{
	(void)state;
	static const struct timespec hour = {3600, 0};
	char address[32];
	snprintf(address, sizeof(address), "0x%lx", (unsigned long)(uintptr_t)&futex_word);
	for (int kind = 0; kind < 3; kind++) {
		static const enum cp_state states[] = {CP_STATE_SLEEP, CP_STATE_POLL,
						       CP_STATE_LOCK};
		static const long calls[] = {SYS_clock_nanosleep, SYS_poll, SYS_futex};
		child = fork();
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (kind == 0)
				nanosleep(&hour, NULL);
			else if (kind == 1)
				poll(NULL, 0, 3600000);
			else
				syscall(SYS_futex, &futex_word, 0 /* FUTEX_WAIT */, 0, &hour);
			_exit(0);
		}
		look_at(child, child, calls[kind]);
		kill(child, SIGSTOP);
		waitpid(child, NULL, WUNTRACED);
		kill(child, SIGCONT);
		look_at(child, child, SYS_restart_syscall);
		assert_int_equal(info.state, states[kind]);
		assert_string_equal(info.object, kind == 2 ? address : "");
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static void test_wait_info__lines_of_socket_tables(void **state)
{
	(void)state;
	struct socket_name name;
	/* of proc(5) and a running machine */
	assert_true(socket_names_parse_inet(
		"   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 00000000  "
		"1000        0 34567 1 0000000000000000 20 4 30 10 -1\n",
		false, &name));
	assert_int_equal(name.inode, 34567);
	assert_string_equal(name.name, "127.0.0.2:54321");
	assert_true(socket_names_parse_inet(
		"   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     "
		"0        0 22 1\n",
		false, &name));
	assert_string_equal(name.name, "listening on 0.0.0.0:22");
	assert_true(socket_names_parse_inet("   0: 00000000000000000000000001000000:0050 "
					    "0000000000000000FFFF00000100007F:0051 01 "
					    "00000000:00000000 00:00000000 00000000 0 0 99 1\n",
					    true, &name));
	assert_string_equal(name.name, "127.0.0.1:81");
	assert_true(socket_names_parse_inet("   0: 00000000000000000000000001000000:0050 "
					    "00000000000000000000000001000000:0051 01 "
					    "00000000:00000000 00:00000000 00000000 0 0 99 1\n",
					    true, &name));
	assert_string_equal(name.name, "[::1]:81");
	assert_true(socket_names_parse_unix(
		"ffff8880: 00000003 00000000 00000000 0001 03 4711 /run/a b.sock\n", &name));
	assert_int_equal(name.inode, 4711);
	assert_string_equal(name.name, "unix:/run/a b.sock");
	/* without a name, headings, in the wrong table */
	assert_false(socket_names_parse_unix("ffff8880: 00000003 00000000 00000000 0001 03 4711\n",
					     &name));
	assert_false(socket_names_parse_unix(
		"Num       RefCount Protocol Flags    Type St Inode Path\n", &name));
	assert_false(socket_names_parse_inet(
		"  sl  local_address rem_address   st tx_queue rx_queue tr\n", false, &name));
	assert_false(socket_names_parse_inet(
		"   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 00000000  "
		"1000        0 34567 1\n",
		true, &name));
}

/* signal(7): what goes on by itself after a stop, and what does not. */
static void test_wait_info__what_a_stop_would_not_disturb(void **state)
{
	(void)state;
	assert_true(wait_is_restarted(SYS_futex));
	assert_true(wait_is_restarted(SYS_poll));
	assert_true(wait_is_restarted(SYS_clock_nanosleep));
	assert_false(wait_is_restarted(SYS_epoll_wait));
	assert_false(wait_is_restarted(SYS_epoll_pwait));
	assert_false(wait_is_restarted(SYS_rt_sigtimedwait));
	assert_false(wait_is_restarted(SYS_semtimedop));
	assert_false(wait_is_restarted(SYS_recvfrom));
	assert_false(wait_is_restarted(SYS_accept));
	assert_false(wait_is_restarted(SYS_read));
}

#define TEST(name) cmocka_unit_test_teardown(test_wait_info__##name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lock_by_its_address),    TEST(a_pipe_by_its_name),
		TEST(a_connection_by_its_peer), TEST(sleep_and_poll),
		TEST(children_and_stops),       TEST(calls_that_a_stop_has_interrupted),
		TEST(lines_of_socket_tables),   TEST(what_a_stop_would_not_disturb),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
