/*
 * wait_info.h - what a thread waits for: the kind of wait, and the object.
 *
 * The kind follows from the system call that the thread is in and, where it is in none, from its
 * state and the kernel function that it sleeps in. The object is
 *
 *     a lock           the address of the futex, "0x7f12...": the mutex, in all its waiters
 *     a file           its path; of a pipe and the like what the kernel calls it ("pipe:[123]")
 *     a socket         its peer ("10.0.0.7:5432", "unix:/run/x.sock"), else "listening on" its own
 *                      address, else "socket:[inode]"
 *     something else   the kernel function, where that may be read
 *
 * Everything is of a moment after the look at the thread: an fd that another thread closes and
 * opens anew in those microseconds gets the new name.
 *
 * Depends on: base/state.h, procfs.h, thread_copy.h, socket_names.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_WAIT_INFO_H
#define CPROF_CAPTURE_WAIT_INFO_H

#include "base/state.h"
#include "socket_names.h"
#include "thread_copy.h"

#include <stdbool.h>
#include <sys/types.h>

enum { WAIT_OBJECT_MAX = 256 };

struct wait_info {
	enum cp_state state;          /* one of those that are blocked */
	char object[WAIT_OBJECT_MAX]; /* "" = none */
};

/**
 * @copy: of thread_look_at() that has just taken it
 * Context: one to four small files of /proc; socket tables at most once a second.
 */
void wait_info_read(struct socket_names *sockets, pid_t pid, pid_t tid,
		    const struct thread_copy *copy, struct wait_info *out);

/**
 * True for the system calls that the kernel takes up again by itself after a stop, with what is
 * left of their time: the program does not see it. (Those of signal(7) that "fail with EINTR" also
 * after a stop are not: epoll_wait, sigtimedwait, semtimedop, recv and accept with a timeout.)
 */
bool wait_is_restarted(long syscall_nr);

#endif
