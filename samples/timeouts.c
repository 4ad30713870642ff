/*
 * timeouts: a thread in each of 14 system calls that a signal would end early, again and again,
 * with timeouts of 150 ms and, between short pieces of work, of 0.1 to 2 ms; it counts those that
 * ended with EINTR, of which there should be none: nobody sends it signals.
 */
#include "common/truth.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stop;
static int epoll_fd, inotify_fd, socket_fd, listen_fd, semaphore, queue, silent[2];
static aio_context_t aio;
static uint32_t word;

static struct timespec timespec_of(long us)
{
	return (struct timespec){us / 1000000, us % 1000000 * 1000};
}

static void set_timeout(int fd, long us)
{
	const struct timeval timeout = {us / 1000000, us % 1000000};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

static long call_epoll_wait(long us)
{
	struct epoll_event event;

	return epoll_wait(epoll_fd, &event, 1, us < 1000 ? 1 : (int)(us / 1000));
}

static long call_epoll_pwait(long us)
{
	struct epoll_event event;
	sigset_t all; /* none of them: the SIGTERM that ends this program is the first thread's */

	sigfillset(&all);
	return epoll_pwait(epoll_fd, &event, 1, us < 1000 ? 1 : (int)(us / 1000), &all);
}

static long call_sigtimedwait(long us)
{
	const struct timespec timeout = timespec_of(us);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &timeout);
}

static long call_semtimedop(long us)
{
	const struct timespec timeout = timespec_of(us);
	struct sembuf take = {.sem_op = -1};

	return semtimedop(semaphore, &take, 1, &timeout);
}

static long call_recv(long us)
{
	char byte;

	set_timeout(socket_fd, us);
	return recv(socket_fd, &byte, 1, 0);
}

static long call_accept(long us)
{
	set_timeout(listen_fd, us);
	return accept(listen_fd, NULL, NULL);
}

static long call_poll(long us)
{
	struct pollfd fd = {.fd = silent[0], .events = POLLIN};

	return poll(&fd, 1, us < 1000 ? 1 : (int)(us / 1000));
}

static long call_select(long us)
{
	struct timeval timeout = {us / 1000000, us % 1000000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(silent[0], &set);
	return select(silent[0] + 1, &set, NULL, NULL, &timeout);
}

static long call_nanosleep(long us)
{
	const struct timespec timeout = timespec_of(us);

	return nanosleep(&timeout, NULL);
}

static long call_futex(long us)
{
	const struct timespec timeout = timespec_of(us);

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
}

static long call_io_getevents(long us)
{
	struct timespec timeout = timespec_of(us);
	struct io_event event;

	return syscall(SYS_io_getevents, aio, 1, 1, &event, &timeout);
}

/* Without a timeout: for ever. */
static long call_msgrcv(long us)
{
	struct {
		long type;
		char text[8];
	} message;

	(void)us;
	return msgrcv(queue, &message, sizeof(message.text), 0, 0);
}

static long call_inotify_read(long us)
{
	char event[512];

	(void)us;
	return read(inotify_fd, event, sizeof(event));
}

static long call_pause(long us)
{
	(void)us;
	return pause();
}

static struct caller {
	const char *name;
	long (*call)(long us);
	bool endless;
	pthread_t thread;
	long calls, interrupted;
} callers[] = {
	{"epoll_wait", call_epoll_wait, false, 0, 0, 0},
	{"epoll_pwait", call_epoll_pwait, false, 0, 0, 0},
	{"sigtimedwait", call_sigtimedwait, false, 0, 0, 0},
	{"semtimedop", call_semtimedop, false, 0, 0, 0},
	{"recv", call_recv, false, 0, 0, 0},
	{"accept", call_accept, false, 0, 0, 0},
	{"poll", call_poll, false, 0, 0, 0},
	{"select", call_select, false, 0, 0, 0},
	{"nanosleep", call_nanosleep, false, 0, 0, 0},
	{"futex", call_futex, false, 0, 0, 0},
	{"io_getevents", call_io_getevents, false, 0, 0, 0},
	{"msgrcv", call_msgrcv, true, 0, 0, 0},
	{"inotify_read", call_inotify_read, true, 0, 0, 0},
	{"pause", call_pause, true, 0, 0, 0},
};
enum { CALLERS = sizeof(callers) / sizeof(callers[0]) };

static TRUTH_NOINLINE void work(unsigned n)
{
	uint64_t x = n;

	for (unsigned i = 0; i < n; i++)
		TRUTH_MIX(x);
	truth_sink = x;
}

static void *run(void *argument)
{
	struct caller *self = argument;
	unsigned seed = (unsigned)(self - callers) + 1;

	pthread_setname_np(pthread_self(), self->name);
	while (!stop) {
		const bool is_long = rand_r(&seed) % 16 == 0;

		self->calls++;
		if (self->call(is_long ? 150000 : 100 + rand_r(&seed) % 1900) < 0 && errno == EINTR)
			self->interrupted++;
		work(rand_r(&seed) % 20000);
	}
	return NULL;
}

static void must(int failed)
{
	if (failed) {
		perror("timeouts");
		exit(1);
	}
}

static void open_all(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int pair[2];

	epoll_fd = epoll_create1(0);
	inotify_fd = inotify_init();
	listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	queue = msgget(IPC_PRIVATE, 0600);
	must(epoll_fd < 0 || inotify_fd < 0 || listen_fd < 0 || semaphore < 0 || queue < 0);
	must(pipe(silent) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	must(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) || listen(listen_fd, 1));
	must(syscall(SYS_io_setup, 1, &aio) != 0);
	socket_fd = pair[0];
}

int main(int argc, char **argv)
{
	sigset_t blocked;

	truth_start(argc, argv);
	/* what the end of the work is told by must not end a wait: it is for the main thread */
	sigfillset(&blocked);
	open_all();
	truth_ready();
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; i < CALLERS; i++)
		must(pthread_create(&callers[i].thread, NULL, run, &callers[i]));
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	while (truth_more())
		poll(NULL, 0, 20);
	stop = true;
	for (size_t i = 0; i < CALLERS; i++) {
		if (!callers[i].endless)
			pthread_join(callers[i].thread, NULL);
		truth_fact(callers[i].name, callers[i].interrupted);
	}
	long calls = 0;
	for (size_t i = 0; i < CALLERS; i++)
		calls += callers[i].calls;
	truth_fact("calls", calls);
	semctl(semaphore, 0, IPC_RMID);
	msgctl(queue, IPC_RMID, NULL);
	return truth_end();
}
