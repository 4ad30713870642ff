#include "thread_regs.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* "syscall" (Intel SDM, volume 2): the bytes 0f 05. */
enum { SYSCALL_BYTES = 2, SYSCALL_OPCODE = 0x050f };

int thread_regs_get(pid_t tid, struct user_regs_struct *out)
{
	struct iovec io = {.iov_base = out, .iov_len = sizeof(*out)};
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) < 0)
		return -ESRCH;
	/* of a 32-bit task the kernel gives the smaller struct of that kind */
	return io.iov_len == sizeof(*out) ? 0 : -ENOTSUP;
}

void thread_regs_copy(const struct user_regs_struct *regs, struct thread_copy *out)
{
	/* the order of DWARF numbers, x86-64 psABI figure 3.36 */
	out->regs = (struct unwind_regs){{regs->rax, regs->rdx, regs->rcx, regs->rbx, regs->rsi,
					  regs->rdi, regs->rbp, regs->rsp, regs->r8, regs->r9,
					  regs->r10, regs->r11, regs->r12, regs->r13, regs->r14,
					  regs->r15, regs->rip}};
	out->regs_known = UINT32_MAX;
	out->in_syscall = (long)regs->orig_rax >= 0;
	out->syscall_nr = (long)regs->orig_rax;
	const uint64_t args[6] = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9};
	memcpy(out->syscall_args, args, sizeof(args));
}

bool thread_regs_is_eintr(const struct user_regs_struct *regs)
{
	return (long)regs->orig_rax >= 0 && (long)regs->rax == -EINTR;
}

bool thread_regs_may_rewind(const struct user_regs_struct *regs)
{
	if (!thread_regs_is_eintr(regs))
		return false;
	/*
	 * signal(7), "Interruption of system calls and library functions by stop signals", and what
	 * returns EINTR in the kernel where a timeout is set. Reading and waiting: with EINTR,
	 * nothing was taken. Not here: close (the descriptor is gone), connect, and writes, of
	 * which not every kind of file keeps that promise.
	 *
	 * read() is: it returns EINTR from a socket with SO_RCVTIMEO, as recv() does; elsewhere it
	 * is mostly restarted. POSIX allows EINTR only before anything was read, and what could
	 * break that keeps to it: a FUSE server answers so when it has given the request up
	 * (filesystems/fuse.rst, "Interrupting filesystem operations"). The thread has been woken
	 * already, so the choice is between this and an EINTR that the program has never seen.
	 * Where it is ours whether to wake it at all, read() is left alone: wait_is_restarted().
	 */
	switch ((long)regs->orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_rt_sigtimedwait:
	case SYS_semop:
	case SYS_semtimedop:
	case SYS_msgrcv:
	case SYS_mq_timedreceive:
	case SYS_read:
	case SYS_readv:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_accept:
	case SYS_accept4:
	case SYS_nanosleep:
	case SYS_futex:
	case SYS_io_getevents:
	case SYS_io_pgetevents:
		return true;
	default:
		return false;
	}
}

bool thread_regs_rewind(pid_t tid, const struct user_regs_struct *regs)
{
	struct user_regs_struct back = *regs;
	back.rip -= SYSCALL_BYTES;
	errno = 0;
	const long word = ptrace(PTRACE_PEEKTEXT, tid, (void *)back.rip, NULL);
	if ((word == -1 && errno) || (word & 0xffff) != SYSCALL_OPCODE)
		return false;
	back.rax = regs->orig_rax;
	/* no system call is being left: the kernel has nothing to restart */
	back.orig_rax = UINT64_MAX;
	struct iovec io = {.iov_base = &back, .iov_len = sizeof(back)};
	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0;
}

bool thread_regs_is_short_write(const struct user_regs_struct *regs)
{
	switch ((long)regs->orig_rax) {
	case SYS_write:
	case SYS_sendto:
		/* rdx: the bytes asked for */
		return (long)regs->rax > 0 && regs->rax < regs->rdx;
	default:
		return false;
	}
}
