/*
 * thread_regs.h - the registers of a thread in a ptrace stop, and what they say of its system call.
 *
 * A stop wakes a thread that waits in the kernel. Most system calls are then restarted by the
 * kernel, unseen by the program. Some return EINTR instead, which the program would never have seen
 * without us: these are rewound here, so that the thread enters the call once more when it goes on.
 * A relative timeout then begins anew.
 *
 * Depends on: thread_copy.h, ptrace(2). All of it is x86-64. Threads: the tracer.
 */
#ifndef CPROF_CAPTURE_THREAD_REGS_H
#define CPROF_CAPTURE_THREAD_REGS_H

#include "thread_copy.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

/** Return: 0, -ESRCH (it is not in a stop of ours), -ENOTSUP (it runs 32-bit code). */
int thread_regs_get(pid_t tid, struct user_regs_struct *out);

/** Fill in the registers and the system call. The other fields are untouched. */
void thread_regs_copy(const struct user_regs_struct *regs, struct thread_copy *out);

/** True when the thread is about to return EINTR from a system call. */
bool thread_regs_is_eintr(const struct user_regs_struct *regs);

/**
 * True for system calls that have done nothing when they return EINTR, so that entering them once
 * more is the same as never having been woken.
 */
bool thread_regs_may_rewind(const struct user_regs_struct *regs);

/**
 * Let the thread enter its system call once more when it goes on.
 *
 * @tid: in a stop, thread_regs_may_rewind() said yes
 * Return: false when the instruction before its pc is no system call, or it is gone; unchanged.
 */
bool thread_regs_rewind(pid_t tid, const struct user_regs_struct *regs);

/**
 * True when the thread is about to return from writing less than it was asked to. A full pipe or
 * socket gives that too when a stop wakes its writer, where it would have waited for room.
 */
bool thread_regs_is_short_write(const struct user_regs_struct *regs);

#endif
