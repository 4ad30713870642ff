#include "command.h"

#include "pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_RUN = 127 }; /* as shells do */

static void run_child(char *const *argv, int go_fd, int error_fd) __attribute__((noreturn));

static void run_child(char *const *argv, int go_fd, int error_fd)
{
	char go;
	ssize_t got;
	do
		got = read(go_fd, &go, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(EXIT_NOT_RUN); /* given up, or cprof died */
	execvp(argv[0], argv);
	int code = errno;
	ssize_t written = write(error_fd, &code, sizeof(code));
	(void)written; /* who would have read it is gone: nobody is left to tell */
	_exit(EXIT_NOT_RUN);
}

static void close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

int command_start(char *const *argv, struct command *out, struct cp_err *err)
{
	int go[2], error[2];
	/* a socket, since writing to it can be told not to raise SIGPIPE */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0)
		return cp_fail(err, -errno, "cannot start %s: %s", argv[0], strerror(errno));
	if (pipe2(error, O_CLOEXEC) < 0) {
		int code = -errno;
		close_pair(go);
		return cp_fail(err, code, "cannot start %s: %s", argv[0], strerror(-code));
	}
	pid_t pid = fork();
	if (pid < 0) {
		int code = -errno;
		close_pair(go);
		close_pair(error);
		return cp_fail(err, code, "cannot start %s: fork: %s", argv[0], strerror(-code));
	}
	if (pid == 0) {
		close(go[1]);
		close(error[0]);
		run_child(argv, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	*out = (struct command){.pid = pid, .go_fd = go[1], .error_fd = error[0]};
	return 0;
}

static void close_pipes(struct command *command)
{
	if (command->go_fd >= 0)
		close(command->go_fd);
	if (command->error_fd >= 0)
		close(command->error_fd);
	command->go_fd = command->error_fd = -1;
}

static void reap(struct command *command)
{
	int status;
	pid_t got;
	do
		got = waitpid(command->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got == command->pid)
		command->wait_status = status;
	command->reaped = true;
}

int command_release(struct command *command, const char *name, struct cp_err *err)
{
	int code = 0;
	ssize_t got;
	/* should the waiting child have been killed, its status will tell */
	send(command->go_fd, "", 1, MSG_NOSIGNAL);
	do
		got = read(command->error_fd, &code, sizeof(code));
	while (got < 0 && errno == EINTR);
	close_pipes(command);
	if (got != (ssize_t)sizeof(code)) {
		command->released = true;
		return 0;
	}
	reap(command);
	if (code == ENOENT)
		return cp_fail(err, -code, "no such command: %s", name);
	return cp_fail(err, -code, "cannot run %s: %s", name, strerror(code));
}

void command_abandon(struct command *command)
{
	close_pipes(command);
	if (!command->reaped)
		reap(command);
}

void command_wait(struct command *command, int stop_fd, bool terminate)
{
	if (command->reaped)
		return;
	if (terminate)
		kill(command->pid, SIGTERM);
	int pidfd = pidfd_open_cloexec(command->pid);
	struct pollfd fds[] = {
		{.fd = pidfd, .events = POLLIN},
		{.fd = terminate ? -1 : stop_fd, .events = POLLIN},
	};
	while (pidfd >= 0) {
		int n = poll(fds, 2, -1);
		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[0].revents)
			break;
		if (n > 0 && fds[1].revents) {
			kill(command->pid, SIGTERM);
			fds[1].fd = -1;
		}
	}
	if (pidfd >= 0)
		close(pidfd);
	reap(command);
}
