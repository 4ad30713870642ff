/*
 * cleanup.h - scope guards: a local that releases itself when it goes out of scope.
 *
 *     CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
 *
 * To hand the resource on, copy it out and set the local to its empty value (-1 or NULL).
 *
 * Depends on: nothing. Threads: any. The guards keep errno.
 */
#ifndef CPROF_BASE_CLEANUP_H
#define CPROF_BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CP_CLEANUP(fn) __attribute__((cleanup(fn)))

/** Close a descriptor unless it is negative. */
static inline void cp_close_fd(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

/** free() what a pointer variable of any type points to; use as CP_CLEANUP(cp_free). */
static inline void cp_free(void *pointer_variable)
{
	int saved = errno;
	free(*(void **)pointer_variable);
	errno = saved;
}

/** fclose() unless NULL. The result is lost: close by hand what was written. */
static inline void cp_close_file(FILE **file)
{
	if (*file) {
		int saved = errno;
		fclose(*file);
		errno = saved;
	}
}

#endif
