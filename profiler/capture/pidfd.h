/*
 * pidfd.h - descriptors that become readable when a process ends.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_CAPTURE_PIDFD_H
#define CPROF_CAPTURE_PIDFD_H

#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/** pidfd_open(2), Linux 5.3; always close-on-exec. Return: a descriptor or -errno. */
static inline int pidfd_open_cloexec(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : (int)fd;
}

#endif
