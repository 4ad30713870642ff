#include "wait_info.h"

#include "procfs.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Younger than the oldest kernel headers that this is built with. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
enum { NR_FUTEX_WAIT = 455 };

/* What the first argument is. */
enum object { NO_OBJECT, OBJECT_FD, OBJECT_FUTEX, OBJECT_FUTEXES };

struct call {
	long nr;
	enum cp_state state;
	enum object object;
};

static const struct call calls[] = {
	{SYS_futex, CP_STATE_LOCK, OBJECT_FUTEX},
	{SYS_futex_waitv, CP_STATE_LOCK, OBJECT_FUTEXES},
	{NR_FUTEX_WAIT, CP_STATE_LOCK, OBJECT_FUTEX},
	{SYS_flock, CP_STATE_LOCK, OBJECT_FD},
	{SYS_fcntl, CP_STATE_LOCK, OBJECT_FD},
	{SYS_semop, CP_STATE_LOCK, NO_OBJECT},
	{SYS_semtimedop, CP_STATE_LOCK, NO_OBJECT},
	{SYS_read, CP_STATE_IO, OBJECT_FD},
	{SYS_write, CP_STATE_IO, OBJECT_FD},
	{SYS_pread64, CP_STATE_IO, OBJECT_FD},
	{SYS_pwrite64, CP_STATE_IO, OBJECT_FD},
	{SYS_readv, CP_STATE_IO, OBJECT_FD},
	{SYS_writev, CP_STATE_IO, OBJECT_FD},
	{SYS_preadv, CP_STATE_IO, OBJECT_FD},
	{SYS_pwritev, CP_STATE_IO, OBJECT_FD},
	{SYS_preadv2, CP_STATE_IO, OBJECT_FD},
	{SYS_pwritev2, CP_STATE_IO, OBJECT_FD},
	{SYS_recvfrom, CP_STATE_IO, OBJECT_FD},
	{SYS_recvmsg, CP_STATE_IO, OBJECT_FD},
	{SYS_recvmmsg, CP_STATE_IO, OBJECT_FD},
	{SYS_sendto, CP_STATE_IO, OBJECT_FD},
	{SYS_sendmsg, CP_STATE_IO, OBJECT_FD},
	{SYS_sendmmsg, CP_STATE_IO, OBJECT_FD},
	{SYS_sendfile, CP_STATE_IO, OBJECT_FD},
	{SYS_splice, CP_STATE_IO, OBJECT_FD},
	{SYS_copy_file_range, CP_STATE_IO, OBJECT_FD},
	{SYS_accept, CP_STATE_IO, OBJECT_FD},
	{SYS_accept4, CP_STATE_IO, OBJECT_FD},
	{SYS_connect, CP_STATE_IO, OBJECT_FD},
	{SYS_ioctl, CP_STATE_IO, OBJECT_FD},
	{SYS_fsync, CP_STATE_IO, OBJECT_FD},
	{SYS_fdatasync, CP_STATE_IO, OBJECT_FD},
	{SYS_sync_file_range, CP_STATE_IO, OBJECT_FD},
	{SYS_syncfs, CP_STATE_IO, OBJECT_FD},
	{SYS_fallocate, CP_STATE_IO, OBJECT_FD},
	{SYS_ftruncate, CP_STATE_IO, OBJECT_FD},
	{SYS_getdents64, CP_STATE_IO, OBJECT_FD},
	{SYS_close, CP_STATE_IO, OBJECT_FD},
	{SYS_sync, CP_STATE_IO, NO_OBJECT},
	{SYS_msync, CP_STATE_IO, NO_OBJECT},
	{SYS_open, CP_STATE_IO, NO_OBJECT},
	{SYS_openat, CP_STATE_IO, NO_OBJECT},
	{SYS_stat, CP_STATE_IO, NO_OBJECT},
	{SYS_newfstatat, CP_STATE_IO, NO_OBJECT},
	{SYS_unlink, CP_STATE_IO, NO_OBJECT},
	{SYS_rename, CP_STATE_IO, NO_OBJECT},
	{SYS_io_getevents, CP_STATE_IO, NO_OBJECT},
	{SYS_io_uring_enter, CP_STATE_IO, OBJECT_FD},
	{SYS_msgrcv, CP_STATE_IO, NO_OBJECT},
	{SYS_msgsnd, CP_STATE_IO, NO_OBJECT},
	{SYS_mq_timedreceive, CP_STATE_IO, OBJECT_FD},
	{SYS_mq_timedsend, CP_STATE_IO, OBJECT_FD},
	{SYS_nanosleep, CP_STATE_SLEEP, NO_OBJECT},
	{SYS_clock_nanosleep, CP_STATE_SLEEP, NO_OBJECT},
	{SYS_poll, CP_STATE_POLL, NO_OBJECT},
	{SYS_ppoll, CP_STATE_POLL, NO_OBJECT},
	{SYS_select, CP_STATE_POLL, NO_OBJECT},
	{SYS_pselect6, CP_STATE_POLL, NO_OBJECT},
	{SYS_epoll_wait, CP_STATE_POLL, NO_OBJECT},
	{SYS_epoll_pwait, CP_STATE_POLL, NO_OBJECT},
	{SYS_epoll_pwait2, CP_STATE_POLL, NO_OBJECT},
	{SYS_wait4, CP_STATE_CHILD, NO_OBJECT},
	{SYS_waitid, CP_STATE_CHILD, NO_OBJECT},
	{SYS_vfork, CP_STATE_CHILD, NO_OBJECT},
	{SYS_clone, CP_STATE_CHILD, NO_OBJECT},
	{SYS_clone3, CP_STATE_CHILD, NO_OBJECT},
};

static const struct call *find_call(long nr)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

static void read_kernel_function(pid_t pid, pid_t tid, char out[WAIT_OBJECT_MAX])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", (int)pid, (int)tid);
	/* "0": it does not sleep, or we may not know */
	if (procfs_read(path, out, WAIT_OBJECT_MAX) <= 0 || strcmp(out, "0") == 0)
		out[0] = 0;
}

/* The state letter of the thread, of proc_pid_stat(5). */
static char state_letter(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return 0;
	const char *name_end = strrchr(text, ')');
	return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

/*
 * A call that a stop has interrupted goes on as restart_syscall(2), with its arguments still in the
 * registers. Three do that, by their restart_block (include/linux/restart_block.h), and where the
 * thread sleeps says which.
 */
static const struct call *find_restarted(const char *kernel_function)
{
	if (strstr(kernel_function, "futex"))
		return find_call(SYS_futex);
	if (strstr(kernel_function, "poll"))
		return find_call(SYS_poll);
	return kernel_function[0] ? find_call(SYS_nanosleep) : NULL;
}

static void read_fd(struct socket_names *sockets, pid_t pid, pid_t tid, int fd,
		    char out[WAIT_OBJECT_MAX])
{
	char path[64];
	uint64_t inode;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", (int)pid, (int)tid, fd);
	const ssize_t n = readlink(path, out, WAIT_OBJECT_MAX - 1);
	out[n > 0 ? n : 0] = 0;
	if (sscanf(out, "socket:[%" SCNu64 "]", &inode) != 1)
		return;
	const char *name = socket_names_find(sockets, pid, inode);
	if (name)
		snprintf(out, WAIT_OBJECT_MAX, "%s", name);
}

/* Waiting without a call: for a page that was touched, most likely. */
static void read_outside_call(char letter, struct wait_info *out)
{
	static const char *const waits_of_pages[] = {"folio",   "page",    "swap",
						     "fault",   "lock_mm", "userfault",
						     "filemap", "blk",     "io_schedule"};
	out->state = CP_STATE_WAIT;
	for (size_t i = 0; i < sizeof(waits_of_pages) / sizeof(waits_of_pages[0]); i++)
		if (strstr(out->object, waits_of_pages[i]))
			out->state = CP_STATE_PAGE_FAULT;
	/* uninterruptible, for a function whose name is not told */
	if (letter == 'D' && !out->object[0])
		out->state = CP_STATE_PAGE_FAULT;
}

void wait_info_read(struct socket_names *sockets, pid_t pid, pid_t tid,
		    const struct thread_copy *copy, struct wait_info *out)
{
	const char letter = state_letter(pid, tid);
	const struct call *call = copy->in_syscall ? find_call(copy->syscall_nr) : NULL;
	*out = (struct wait_info){.state = CP_STATE_WAIT};
	if (letter == 'T' || letter == 't') {
		out->state = CP_STATE_STOPPED;
		return;
	}
	if (!call) {
		read_kernel_function(pid, tid, out->object);
		if (copy->in_syscall && copy->syscall_nr == SYS_restart_syscall)
			call = find_restarted(out->object);
	}
	if (!call) {
		if (!copy->in_syscall)
			read_outside_call(letter, out);
		return;
	}
	out->state = call->state;
	out->object[0] = 0;
	switch (call->object) {
	case OBJECT_FD:
		if (copy->syscall_args[0] <= INT_MAX)
			read_fd(sockets, pid, tid, (int)copy->syscall_args[0], out->object);
		break;
	case OBJECT_FUTEX:
		snprintf(out->object, sizeof(out->object), "0x%" PRIx64, copy->syscall_args[0]);
		break;
	case OBJECT_FUTEXES: /* one of several: which is in memory that is not read */
	case NO_OBJECT:
		break;
	}
}

bool wait_is_restarted(long syscall_nr)
{
	/*
	 * signal(7), "Interruption of system calls and library functions by stop signals", and the
	 * kernel's -ERESTART_RESTARTBLOCK, which takes up what is left of the time. Not read(2):
	 * restarted on a pipe, but a driver may do as it likes, and nobody forces us to wake it.
	 * Where that has happened by a lost race, thread_regs_may_rewind() has it in its list.
	 */
	static const long restarted[] = {SYS_futex,    SYS_nanosleep, SYS_clock_nanosleep,
					 SYS_poll,     SYS_ppoll,     SYS_select,
					 SYS_pselect6, SYS_msgrcv,    SYS_pause,
					 SYS_wait4,    SYS_waitid,    SYS_restart_syscall};
	for (size_t i = 0; i < sizeof(restarted) / sizeof(restarted[0]); i++)
		if (restarted[i] == syscall_nr)
			return true;
	return false;
}
