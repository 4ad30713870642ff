#include "heap_child.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

enum { EXIT_NOT_RUN = 127, TICK_NS = 100000000 };

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

/*
 * A child of the command may be built with ASan, whose runtime ends it when it finds that it does
 * not come first.
 */
static void soothe_asan(void)
{
	static const char quiet[] = "verify_asan_link_order=0";
	const char *before = getenv("ASAN_OPTIONS");
	char *options = NULL;
	if (asprintf(&options, "%s%s%s", before ? before : "", before && before[0] ? ":" : "",
		     quiet) < 0)
		options = NULL;
	setenv("ASAN_OPTIONS", options ? options : quiet, 1);
	free(options);
}

static void set_environment(const struct heap_child_settings *settings)
{
	char text[32];
	if (!settings->library)
		return;
	soothe_asan();
	const char *preload = getenv("LD_PRELOAD");
	char *list = NULL;
	if (preload && preload[0] && asprintf(&list, "%s:%s", settings->library, preload) < 0)
		list = NULL;
	setenv("LD_PRELOAD", list ? list : settings->library, 1);
	free(list);
	setenv("CPROF_HEAP_OUTPUT", settings->output, 1);
	snprintf(text, sizeof(text), "%" PRIu64, settings->sample_bytes);
	setenv("CPROF_HEAP_SAMPLE_BYTES", text, 1);
	if (settings->follow)
		setenv("CPROF_HEAP_FOLLOW", settings->follow, 1);
	else
		unsetenv("CPROF_HEAP_FOLLOW");
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	if (settings->root_is_no_exception)
		unsetenv("CPROF_HEAP_ROOT_PID");
	else
		setenv("CPROF_HEAP_ROOT_PID", text, 1);
}

static void run(char *const *argv, const struct heap_child_settings *settings,
		const struct heap_child *child, int error_fd) __attribute__((noreturn));

static void run(char *const *argv, const struct heap_child_settings *settings,
		const struct heap_child *child, int error_fd)
{
	set_environment(settings);
	sigprocmask(SIG_SETMASK, &child->before, NULL);
	execvp(argv[0], argv);
	const int code = errno;
	const ssize_t written = write(error_fd, &code, sizeof(code));
	(void)written; /* who would have read it is gone: nobody is left to tell */
	_exit(EXIT_NOT_RUN);
}

static void reap(struct heap_child *child)
{
	while (waitpid(child->pid, &child->wait_status, 0) < 0 && errno == EINTR)
		;
}

/* A successful exec closes the pipe. Return: 0 or the errno of a failed one. */
static int exec_error(int fd)
{
	int code = 0;
	ssize_t got;
	do
		got = read(fd, &code, sizeof(code));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(code) ? code : 0;
}

static void block(struct heap_child *child)
{
	sigemptyset(&child->blocked);
	sigaddset(&child->blocked, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(&child->blocked, passed_on[i]);
	sigprocmask(SIG_BLOCK, &child->blocked, &child->before);
}

int heap_child_start(char *const *argv, const struct heap_child_settings *settings,
		     struct heap_child *out, struct cp_err *err)
{
	struct heap_child child = {0};
	int error[2];
	if (pipe2(error, O_CLOEXEC) < 0)
		return cp_fail(err, -errno, "cannot start %s: %s", argv[0], strerror(errno));
	block(&child);
	child.pid = fork();
	if (child.pid == 0)
		run(argv, settings, &child, error[1]);
	int code = child.pid < 0 ? errno : 0;
	close(error[1]);
	if (!code) {
		code = exec_error(error[0]);
		if (code)
			reap(&child);
	}
	close(error[0]);
	if (code) {
		sigprocmask(SIG_SETMASK, &child.before, NULL);
		return cp_fail(err, -code,
			       code == ENOENT ? "no such command: %s" : "cannot run %s: %s",
			       argv[0], strerror(code));
	}
	*out = child;
	return 0;
}

static void pass_on(const struct heap_child *child, const siginfo_t *info)
{
	/* the terminal's own signals come from the kernel, and go to the command too */
	if (info->si_signo != SIGCHLD && info->si_code <= 0)
		kill(child->pid, info->si_signo);
}

static bool has_ended(struct heap_child *child)
{
	const pid_t got = waitpid(child->pid, &child->wait_status, WNOHANG);
	return got == child->pid || (got < 0 && errno == ECHILD);
}

void heap_child_wait(struct heap_child *child, bool (*tick)(void *ctx), void *ctx)
{
	const struct timespec step = {.tv_nsec = TICK_NS};
	bool ticking = tick != NULL;
	while (!has_ended(child)) {
		siginfo_t info;
		const int got = ticking ? sigtimedwait(&child->blocked, &info, &step)
					: sigwaitinfo(&child->blocked, &info);
		if (got > 0)
			pass_on(child, &info);
		else if (ticking && errno == EAGAIN)
			ticking = tick(ctx);
	}
	sigprocmask(SIG_SETMASK, &child->before, NULL);
}

int heap_child_status(const struct heap_child *child)
{
	const int status = child->wait_status;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
