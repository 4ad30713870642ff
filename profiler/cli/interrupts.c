#include "interrupts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>

static int event_fd = -1;
static volatile sig_atomic_t recording, cancel;

/*
 * What a signal means depends on the phase, not on how many came: timeout(1) signals its child and
 * then its process group, so that the same request arrives twice within microseconds.
 */
static void on_signal(int signal_number)
{
	int saved = errno;
	if (recording) {
		uint64_t one = 1;
		ssize_t ignored = write(event_fd, &one, sizeof(one));
		(void)ignored; /* EAGAIN only: readable already */
	} else {
		cancel = 1;
		signal(signal_number, SIG_DFL);
	}
	errno = saved;
}

int interrupts_init(int *stop_fd, struct cp_err *err)
{
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return cp_fail(err, -errno, "eventfd: %s", strerror(errno));
	recording = 1;
	cancel = 0;
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
	sigemptyset(&action.sa_mask);
	/*
	 * SIGINT also where it was ignored: shells do that to what scripts start with "&", and
	 * `kill -INT` is how a script ends a recording.
	 */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &action, NULL);
	*stop_fd = event_fd;
	return 0;
}

void interrupts_deinit(void)
{
	recording = 0;
	cp_close_fd(&event_fd);
	event_fd = -1;
}

void interrupts_recording_over(void)
{
	recording = 0;
}

const volatile sig_atomic_t *interrupts_cancel(void)
{
	return &cancel;
}
