/*
 * command.h - start the command that is to be recorded, held until the events are on.
 *
 * It has our standard streams, process group and terminal; what is typed reaches it as well.
 *
 * Depends on: base. Threads: call command_start() from a process with one thread.
 */
#ifndef CPROF_CAPTURE_COMMAND_H
#define CPROF_CAPTURE_COMMAND_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct command {
	pid_t pid;
	int go_fd;     /* a byte lets it exec; closed without one it exits */
	int error_fd;  /* gives errno of a failed exec; closed by a successful one */
	bool released; /* it runs, or has run */
	bool reaped;
	int wait_status; /* when reaped */
};

/**
 * Fork; the child waits for command_release().
 *
 * @argv: NULL-terminated, at least one
 * Return: 0 or -errno with a message.
 * Context: the command inherits the signals that are blocked and ignored here; handlers are reset
 *          by its exec.
 */
int command_start(char *const *argv, struct command *out, struct cp_err *err);

/**
 * Let it exec.
 *
 * Return: 0; -ENOENT, -EACCES and other errors of execvp() with a message: it is then reaped.
 */
int command_release(struct command *command, const char *name, struct cp_err *err);

/** End it if it was not released, and reap it. */
void command_abandon(struct command *command);

/**
 * Wait for its end.
 *
 * @stop_fd: when it becomes readable, the command is sent SIGTERM, once; -1 = none
 * @terminate: send SIGTERM first
 * Context: blocks.
 */
void command_wait(struct command *command, int stop_fd, bool terminate);

#endif
