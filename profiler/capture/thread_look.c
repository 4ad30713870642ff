#include "thread_look.h"

#include "clock.h"
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 256, TRIES = 3 };

void thread_look_deinit(struct thread_look *look)
{
	free(look->bytes);
	look->bytes = NULL;
	look->cap = 0;
}

static void path_of(const struct thread_look_target *target, const char *name, char path[64])
{
	snprintf(path, 64, "/proc/%d/task/%d/%s", (int)target->pid, (int)target->tid, name);
}

static ssize_t read_of(const struct thread_look_target *target, int fd, const char *name, char *buf,
		       size_t cap)
{
	char path[64];
	if (fd < 0) {
		path_of(target, name, path);
		return procfs_read(path, buf, cap);
	}
	/* the kernel makes the text anew for each read from the start */
	const ssize_t n = pread(fd, buf, cap - 1, 0);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return n;
}

static int open_of(const struct thread_look_target *target, const char *name)
{
	char path[64];
	path_of(target, name, path);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void thread_look_open(struct thread_look_target *target)
{
	target->syscall_fd = open_of(target, "syscall");
	target->schedstat_fd = open_of(target, "schedstat");
}

void thread_look_close(struct thread_look_target *target)
{
	if (target->syscall_fd >= 0)
		close(target->syscall_fd);
	if (target->schedstat_fd >= 0)
		close(target->schedstat_fd);
	target->syscall_fd = target->schedstat_fd = -1;
}

/* A hexadecimal number behind a blank. Return: false: there is none. */
static bool take_hex(const char **text, uint64_t *out)
{
	char *end;
	if ((*text)[0] != ' ' || (*text)[1] != '0' || (*text)[2] != 'x')
		return false;
	errno = 0;
	*out = strtoull(*text + 1, &end, 16);
	*text = end;
	return errno == 0;
}

bool thread_look_parse(const char *text, struct thread_copy *out)
{
	char *end;
	uint64_t sp, pc;
	long nr = strtol(text, &end, 10);
	if (end == text)
		return false;
	const char *rest = end;
	struct thread_copy copy = {.in_syscall = nr >= 0, .syscall_nr = nr};
	for (size_t i = 0; copy.in_syscall && i < 6; i++)
		if (!take_hex(&rest, &copy.syscall_args[i]))
			return false;
	if (!take_hex(&rest, &sp) || !take_hex(&rest, &pc) || (*rest && *rest != '\n'))
		return false;
	unwind_regs_set_sp(&copy.regs, sp);
	unwind_regs_set_pc(&copy.regs, pc);
	copy.regs_known = unwind_regs_walk_bits() & ~unwind_regs_fp_bit();
	*out = copy;
	return true;
}

static uint64_t number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

int thread_look_sched_target(const struct thread_look_target *target, struct thread_sched *out)
{
	char buf[4096];
	struct thread_sched sched = {.slices = 0};
	ssize_t n = read_of(target, target->schedstat_fd, "schedstat", buf, sizeof(buf));
	if (n > 0 &&
	    sscanf(buf, "%" SCNu64 " %" SCNu64 " %" SCNu64, &sched.run_ns, &sched.delay_ns,
		   &sched.slices) == 3 &&
	    sched.slices > 0) {
		sched.has_times = true;
		*out = sched;
		return 0;
	}
	/* a kernel without these statistics has no such file, or zeros in it */
	n = read_of(target, -1, "status", buf, sizeof(buf));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	sched = (struct thread_sched){.slices = 1 +
						number_after(buf, "\nvoluntary_ctxt_switches:") +
						number_after(buf, "\nnonvoluntary_ctxt_switches:")};
	*out = sched;
	return 0;
}

int thread_look_sched(pid_t pid, pid_t tid, struct thread_sched *out)
{
	const struct thread_look_target target = thread_look_target_of(pid, tid);
	return thread_look_sched_target(&target, out);
}

static enum thread_look_status status_of(ssize_t code)
{
	return code == -EACCES || code == -EPERM ? THREAD_LOOK_REFUSED : THREAD_LOOK_GONE;
}

static bool allocate(struct thread_look *look, size_t n_bytes)
{
	if (look->cap >= n_bytes)
		return true;
	uint8_t *bytes = malloc(n_bytes);
	if (!bytes)
		return false;
	free(look->bytes);
	look->bytes = bytes;
	look->cap = n_bytes;
	return true;
}

/*
 * The kernel copies page by page and gives what lies before the first one that is not mapped
 * (mm/process_vm_access.c). By the thread's own number: the process' first thread may have ended,
 * and has no memory then.
 */
static enum thread_look_status read_stack(struct thread_look *look, pid_t tid, size_t n_bytes,
					  struct thread_copy *copy)
{
	const uint64_t sp = unwind_regs_sp(&copy->regs);
	const struct iovec local = {look->bytes, n_bytes};
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): another process' address */
	const struct iovec remote = {(void *)(uintptr_t)sp, n_bytes};
	ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	if (n < 0 && (errno == EPERM || errno == ESRCH))
		return status_of(-errno);
	if (n < 0)
		n = 0; /* a stack pointer that points nowhere: there is nothing to be had */
	copy->stack = (struct unwind_stack){.sp = sp,
					    .bytes = look->bytes,
					    .n_bytes = (size_t)n,
					    .maybe_more = (size_t)n == n_bytes};
	return THREAD_LOOK_TAKEN;
}

static enum thread_look_status look_once(struct thread_look *look,
					 const struct thread_look_target *target, size_t n_bytes,
					 uint64_t slices, struct thread_copy *copy,
					 struct thread_sched *sched)
{
	char before[LINE_MAX_BYTES], after[LINE_MAX_BYTES];
	struct thread_sched first;
	/* A slice is counted when it begins. So what waits after the first look at the count, and
	 * has begun none by the second, has waited all the while in between. */
	int code = thread_look_sched_target(target, &first);
	ssize_t n =
		code < 0 ? code
			 : read_of(target, target->syscall_fd, "syscall", before, sizeof(before));
	if (n <= 0)
		return status_of(n);
	*sched = first;
	if (!thread_look_parse(before, copy))
		return THREAD_LOOK_RUNNING;
	if (first.slices == slices)
		return THREAD_LOOK_UNCHANGED;
	copy->time_ns = clock_now_ns();
	const enum thread_look_status status = read_stack(look, target->tid, n_bytes, copy);
	if (status != THREAD_LOOK_TAKEN)
		return status;
	n = read_of(target, target->syscall_fd, "syscall", after, sizeof(after));
	/* its times are those of the wait: at the first look it may have been running still */
	code = n < 0 ? (int)n : thread_look_sched_target(target, sched);
	if (code < 0 || n <= 0)
		return status_of(code);
	return strcmp(before, after) == 0 && sched->slices == first.slices ? THREAD_LOOK_TAKEN
									   : THREAD_LOOK_MOVED;
}

enum thread_look_status thread_look_at_target(struct thread_look *look,
					      const struct thread_look_target *target,
					      size_t n_bytes, uint64_t slices,
					      struct thread_copy *copy, struct thread_sched *sched)
{
	enum thread_look_status status = THREAD_LOOK_MOVED;
	if (!allocate(look, n_bytes))
		return THREAD_LOOK_MOVED;
	for (unsigned i = 0; i < TRIES && status == THREAD_LOOK_MOVED; i++) {
		status = look_once(look, target, n_bytes, slices, copy, sched);
		look->counts[status]++;
	}
	return status;
}

enum thread_look_status thread_look_at(struct thread_look *look, pid_t pid, pid_t tid,
				       size_t n_bytes, uint64_t slices, struct thread_copy *copy,
				       struct thread_sched *sched)
{
	const struct thread_look_target target = thread_look_target_of(pid, tid);
	return thread_look_at_target(look, &target, n_bytes, slices, copy, sched);
}
