/*
 * safe_file.h - replace a file by a new one, whole or not at all.
 *
 * Internal to this folder. The new content goes to a temporary file of an unpredictable name in
 * the same directory, and takes the place of the old one by rename when it is on the disk.
 *
 * Depends on: base. Threads: one at a time per object.
 */
#ifndef CPROF_PROFILE_SAFE_FILE_H
#define CPROF_PROFILE_SAFE_FILE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct safe_file {
	int fd;          /* write here */
	char *path;      /* what is replaced; symbolic links followed */
	char *temporary; /* NULL once committed */
};

/**
 * Open the temporary file.
 *
 * An existing @path passes its mode and, where permitted, its owner on to the new one; otherwise
 * the mode is 0644 without the umask's bits.
 *
 * Return: 0 or -errno with a message (nothing is left behind).
 */
int safe_file_begin(struct safe_file *file, const char *path, struct cp_err *err);

/** fsync, rename, fsync of the directory. @fd stays open. Return: 0 or -errno with a message. */
int safe_file_commit(struct safe_file *file, struct cp_err *err);

/** Close; remove the temporary file unless it was committed. All-zero but fd = -1 is accepted. */
void safe_file_deinit(struct safe_file *file);

/**
 * Write all of it.
 *
 * @done: bytes written, also on failure; may be NULL
 * Return: 0 or -errno.
 */
int safe_file_write(int fd, const void *bytes, size_t n, size_t *done);

/**
 * What is at @path.
 *
 * @special: true when it is there and no regular file (a device, a pipe): it is written to as it
 *           is, never replaced
 * Return: 0, also when nothing is there; -errno with a message: it cannot be a profile's place.
 */
int safe_file_is_special(const char *path, bool *special, bool *exists, struct cp_err *err);

#endif
