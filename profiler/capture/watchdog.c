#include "watchdog.h"

#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 100, LOOKS_UNTIL_HUNG = 5 };

/* A thread of the target that the recorder holds in a stop; 0 = none. */
static pid_t find_held(const struct watchdog_board *board, pid_t recorder)
{
	for (unsigned i = 0; i < WATCHDOG_THREADS; i++) {
		const pid_t tid = atomic_load_explicit(&board->tids[i], memory_order_acquire);
		if (tid && procfs_is_held_by(tid, recorder))
			return tid;
	}
	return 0;
}

static void free_target(pid_t recorder, pid_t held)
{
	/* a parent that has ended is not ours any more, and its number may be another's */
	if (getppid() != recorder)
		return;
	kill(recorder, SIGKILL);
	dprintf(STDERR_FILENO,
		"cprof: the recorder hung while thread %d stood still for a sample; it was killed, "
		"and the thread goes on\n",
		held);
}

static void run(const struct watchdog_board *board, pid_t recorder, int alive_fd)
	__attribute__((noreturn));

static void run(const struct watchdog_board *board, pid_t recorder, int alive_fd)
{
	struct pollfd alive = {.fd = alive_fd, .events = POLLIN};
	uint64_t beat = 0;
	/* nothing is ever written into the pipe: it becomes readable at its end */
	for (int same = 0; poll(&alive, 1, LOOK_MS) <= 0;) {
		const uint64_t now = atomic_load_explicit(&board->beat, memory_order_acquire);
		same = now == beat ? same + 1 : 0;
		beat = now;
		if (same < LOOKS_UNTIL_HUNG)
			continue;
		const pid_t held = find_held(board, recorder);
		if (held) {
			free_target(recorder, held);
			break;
		}
	}
	_exit(0);
}

static void become_watchdog(struct watchdog_board *board, pid_t recorder, int alive_fd)
{
	enum { KEPT_FD = STDERR_FILENO + 1 };
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* whoever reads our standard output waits for its last writer */
	const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0) {
		dup2(null_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
	}
	if (alive_fd != KEPT_FD)
		dup2(alive_fd, KEPT_FD);
	syscall(SYS_close_range, KEPT_FD + 1, ~0U, 0); /* Linux 5.9; without, they stay open */
	run(board, recorder, KEPT_FD);
}

int watchdog_start(struct watchdog *out, struct cp_err *err)
{
	int pipe_fds[2];
	const pid_t recorder = getpid();
	struct watchdog_board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		return cp_fail(err, -errno, "cannot watch over the recorder: mmap: %s",
			       strerror(errno));
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		const int code = -errno;
		munmap(board, sizeof(*board));
		return cp_fail(err, code, "cannot watch over the recorder: pipe: %s",
			       strerror(-code));
	}
	const pid_t pid = fork();
	if (pid == 0) {
		close(pipe_fds[1]);
		become_watchdog(board, recorder, pipe_fds[0]);
	}
	const int code = pid < 0 ? -errno : 0;
	close(pipe_fds[0]);
	if (code < 0) {
		close(pipe_fds[1]);
		munmap(board, sizeof(*board));
		return cp_fail(err, code, "cannot watch over the recorder: fork: %s",
			       strerror(-code));
	}
	*out = (struct watchdog){.board = board, .pid = pid, .alive_fd = pipe_fds[1]};
	return 0;
}

void watchdog_stop(struct watchdog *watchdog)
{
	if (!watchdog->board)
		return;
	close(watchdog->alive_fd);
	while (waitpid(watchdog->pid, NULL, 0) < 0 && errno == EINTR)
		;
	munmap(watchdog->board, sizeof(*watchdog->board));
	memset(watchdog, 0, sizeof(*watchdog));
}
