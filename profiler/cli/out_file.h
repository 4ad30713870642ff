/*
 * out_file.h - where a command's data goes: a file, replaced as a whole, or standard output.
 *
 * What a command writes is collected in memory and goes out at the end, so that a failure leaves
 * neither half a file nor half a report in a pipe.
 *
 * Depends on: base. Threads: the main one.
 */
#ifndef CPROF_CLI_OUT_FILE_H
#define CPROF_CLI_OUT_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct out_file {
	FILE *stream;     /* write here */
	const char *path; /* NULL = standard output */
	char *bytes;
	size_t n;
};

/** @path: borrowed; NULL or "-" = standard output. Return: 0, -ENOMEM with a message. */
int out_file_open(struct out_file *out, const char *path, struct cp_err *err);

/**
 * Let it out: into a temporary file that then replaces the old one, whose mode is kept; straight
 * into what is no regular file (a device, a pipe).
 *
 * Return: 0, also when the reader of a pipe on standard output had enough; -errno with a message.
 */
int out_file_commit(struct out_file *out, struct cp_err *err);

/** Release; what was not committed is dropped. */
void out_file_close(struct out_file *out);

/** True when @path exists and is no regular file, so that it must not be replaced by one. */
bool out_file_is_special(const char *path);

#endif
