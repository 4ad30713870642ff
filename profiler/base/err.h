/*
 * err.h - the one error a control-plane call can hand back.
 *
 * The message is made where path and number are known, and says what failed, on what, why and
 * what to do next; only cli/ prints it. A function that takes a `struct cp_err *` returns 0 or
 * a negative errno value, and fills the message exactly when it fails.
 *
 * Depends on: nothing. Threads: an error belongs to one caller.
 */
#ifndef CPROF_BASE_ERR_H
#define CPROF_BASE_ERR_H

#define CP_ERR_MAX 1024

struct cp_err {
	char message[CP_ERR_MAX]; /* one or more lines, no newline at the end; "" = none */
};

/**
 * Write a message and hand the code through, so that a failing call is one statement.
 *
 * @err:  may be NULL: the message is dropped
 * @code: the negative errno value to return
 * Return: @code.
 * Context: no allocation; keeps errno.
 */
int cp_fail(struct cp_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * Put what the caller knows in front of a message made deeper down: "context: message".
 *
 * Return: @code. Context: no allocation; keeps errno.
 */
int cp_fail_prefix(struct cp_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** The usual message when memory ran out. Return: -ENOMEM. */
int cp_fail_nomem(struct cp_err *err);

#ifdef __clang_analyzer__
/* It looks at one file at a time and would take a failure's value for a possible 0. */
#define cp_fail(err, code, ...) ((cp_fail)(err, code, __VA_ARGS__), (code))
#define cp_fail_prefix(err, code, ...) ((cp_fail_prefix)(err, code, __VA_ARGS__), (code))
#endif

#endif
