/*
 * heap_child.h - a command with libcprof_heap.so preloaded: started, its signals passed on, waited
 * for.
 *
 * It runs in our process group, on our terminal: what is typed there reaches it as well, so only
 * signals that somebody sent to us are passed on.
 *
 * Depends on: base. Threads: the main one, and no others when it starts.
 */
#ifndef CPROF_CLI_HEAP_CHILD_H
#define CPROF_CLI_HEAP_CHILD_H

#include "base/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct heap_child_settings {
	const char *library; /* path of libcprof_heap.so; NULL: nothing is preloaded */
	const char *output;  /* pattern of the heap file's name, with %p */
	const char *follow;  /* NULL: programs that are executed, but not what is only forked */
	uint64_t sample_bytes;
	/* the command itself counts only if `follow` says so */
	bool root_is_no_exception;
};

struct heap_child {
	pid_t pid;
	int wait_status;
	sigset_t blocked, before;
};

/**
 * Start it.
 *
 * Return: 0; -ENOENT, -EACCES and other errors of execvp() with a message.
 * Context: blocks the signals that are passed on until heap_child_wait() returns.
 */
int heap_child_start(char *const *argv, const struct heap_child_settings *settings,
		     struct heap_child *out, struct cp_err *err);

/**
 * Wait for its end.
 *
 * @tick: called ten times a second until it returns false
 */
void heap_child_wait(struct heap_child *child, bool (*tick)(void *ctx), void *ctx);

/** As shells say it: the exit status, or 128 + the signal. */
int heap_child_status(const struct heap_child *child);

#endif
