/*
 * interrupts.h - what Ctrl-C and kill mean while recording.
 *
 * The first SIGINT, SIGTERM or SIGHUP ends the recording normally. One more after that cuts the
 * look-up of symbols short, and a third one ends cprof at once; the profile is on disk in all
 * cases. Handlers, not a blocked mask: a started command inherits a mask, but no handlers.
 *
 * Depends on: base. Threads: signals may arrive on any.
 */
#ifndef CPROF_CLI_INTERRUPTS_H
#define CPROF_CLI_INTERRUPTS_H

#include "base/err.h"

#include <signal.h>

/**
 * Begin to catch them. A SIGHUP that is ignored (nohup) stays so.
 *
 * @stop_fd: becomes readable on the first one; closed by interrupts_deinit()
 * Return: 0 or -errno with a message.
 */
int interrupts_init(int *stop_fd, struct cp_err *err);
void interrupts_deinit(void);

/** The recording is over: from now on a signal asks to cut the rest short. */
void interrupts_recording_over(void);

/** Not 0 once the rest shall be cut short. */
const volatile sig_atomic_t *interrupts_cancel(void);

#endif
