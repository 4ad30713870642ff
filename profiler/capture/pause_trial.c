#include "pause_trial.h"

#include "clock.h"
#include "thread_stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOPS = 200, COPY_BYTES = 8192 };

#define TRIAL_MAX_NS CLOCK_NS_PER_S

static void on_pause(void *ctx, uint64_t pause_ns)
{
	overhead_add_pause(ctx, pause_ns);
}

static int stop_often(pid_t child, struct pauses *out)
{
	struct overhead overhead;
	struct watchdog nobody = {0};
	struct thread_copy copy;
	struct thread_stopper stopper = {
		.watchdog = &nobody,
		.own_child = child,
		.on_pause = on_pause,
		.pause_ctx = &overhead,
	};
	const struct timespec between = {.tv_nsec = 200000};
	const uint64_t until_ns = clock_now_ns() + TRIAL_MAX_NS;
	/* a stop in which the stack cannot be read is of no use */
	unsigned n_taken = 0;
	overhead_init(&overhead, (struct overhead_limits){.max_share = 1, .n_cpus = 1}, 0, 0);
	if (thread_stopper_init(&stopper) < 0)
		return -ENOMEM;
	while (overhead.pauses.n < STOPS && clock_now_ns() < until_ns) {
		n_taken += thread_stop_take(&stopper, child, child, COPY_BYTES, &copy) ==
			   THREAD_STOP_TAKEN;
		nanosleep(&between, NULL);
	}
	thread_stopper_deinit(&stopper);
	*out = overhead.pauses;
	return n_taken ? 0 : -EPERM;
}

int pause_trial_run(struct pauses *out)
{
	const pid_t own = getpid();
	sigset_t blocked, before;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	const pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* our parent may have died before that */
		while (getppid() == own)
			;
		_exit(0);
	}
	const int code = child < 0 ? -errno : stop_often(child, out);
	if (child > 0) {
		kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}
