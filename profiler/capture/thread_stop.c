#include "thread_stop.h"

#include "clock.h"
#include "procfs.h"
#include "thread_regs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * A stop mostly comes within so long, less than it takes to be put to sleep and woken. Where the
 * thread has to be given our CPU first, it waits for us as long: 50 us instead gained 2 us of 73 at
 * p90 on a quiet machine, and kept threads off the CPU for 35 us more on a busy one. On a machine
 * with one CPU it always has to.
 */
#define SPIN_NS UINT64_C(15000)

/*
 * Then we sleep until the kernel tells, but look now and then: when a stop began is known to no
 * better than that. A thread that has to wait for a CPU first takes milliseconds.
 */
#define DOZE_NS UINT64_C(100000)
#define DOZE_MAX_NS UINT64_C(300000)

/* linux/ptrace.h: the event of a stop by PTRACE_INTERRUPT, and of one by job control */
enum { EVENT_STOP = 128 };

int thread_stopper_init(struct thread_stopper *stopper)
{
	memset(&stopper->counts, 0, sizeof(stopper->counts));
	memset(stopper->late, 0, sizeof(stopper->late));
	stopper->spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_NS : 0;
	stopper->bytes = malloc(THREAD_STOP_MAX_BYTES);
	/* or its pages would be made in the first stops */
	if (stopper->bytes)
		memset(stopper->bytes, 0xff, THREAD_STOP_MAX_BYTES);
	return stopper->bytes ? 0 : -ENOMEM;
}

void thread_stopper_deinit(struct thread_stopper *stopper)
{
	free(stopper->bytes);
	stopper->bytes = NULL;
}

enum seen { SEEN_NOTHING, SEEN_STOP, SEEN_END };

/* @out: si_status as waitid(2) gives it for a tracee: the signal, and the event above it */
static enum seen look(const struct thread_stopper *stopper, pid_t tid, int *out)
{
	siginfo_t info = {0};
	const bool is_own = tid == stopper->own_child;
	const int options = WSTOPPED | __WALL | WNOHANG;
	int code = waitid(P_PID, (id_t)tid, &info, options | (is_own ? 0 : WEXITED));
	if (code == 0 && info.si_pid == 0 && is_own)
		code = waitid(P_PID, (id_t)tid, &info, WEXITED | __WALL | WNOHANG | WNOWAIT);
	if (code < 0) /* ECHILD: an exec of another thread has ended it, or has its number now */
		return SEEN_END;
	if (info.si_pid == 0)
		return SEEN_NOTHING;
	*out = info.si_status;
	return info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED ? SEEN_STOP : SEEN_END;
}

/* One that only waits for a CPU comes soon: better to wait for it than to do other work meanwhile
 */
static bool is_late(pid_t tid, uint64_t elapsed_ns)
{
	char state;
	if (elapsed_ns <= THREAD_STOP_PATIENCE_NS)
		return false;
	procfs_tracer(tid, &state);
	return state != 'R' || elapsed_ns > THREAD_STOP_PATIENCE_RUNNABLE_NS;
}

/* @looked_ns: when it was last seen not to have stopped yet */
static enum seen wait_for_stop(struct thread_stopper *stopper, pid_t tid, uint64_t since_ns,
			       uint64_t *looked_ns, int *out)
{
	struct timespec doze = {.tv_nsec = (long)DOZE_NS};
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		const uint64_t now_ns = clock_now_ns();
		const enum seen seen = look(stopper, tid, out);
		if (seen != SEEN_NOTHING || is_late(tid, now_ns - since_ns))
			return seen;
		/* before that it may have been interrupted already, and on its way into the stop */
		if (now_ns - since_ns <= stopper->spin_ns)
			continue;
		if (stopper->gives_up && stopper->gives_up(stopper->gives_up_ctx))
			return SEEN_NOTHING;
		*looked_ns = now_ns;
		sigtimedwait(&child, NULL, &doze);
		/* a late one that has stopped meanwhile does not stand still until this one has */
		thread_stopper_poll(stopper);
		if (now_ns - since_ns > DOZE_MAX_NS)
			doze.tv_nsec = (long)DOZE_MAX_NS;
	}
}

/* What a program that has no handler does not notice: signal(7), "Ign". */
static uint64_t ignored_by_default(void)
{
	return UINT64_C(1) << (SIGCHLD - 1) | UINT64_C(1) << (SIGCONT - 1) |
	       UINT64_C(1) << (SIGURG - 1) | UINT64_C(1) << (SIGWINCH - 1);
}

/*
 * A signal is there for a thread that would have woken it without us: it is neither blocked nor
 * ignored. To one that is traced the kernel delivers ignored ones too.
 *
 * @signal: that is being delivered to it, or 0
 */
static bool has_signal(pid_t tid, int signal)
{
	char path[64], text[4096];
	unsigned long long own = 0, shared = 0, blocked = 0, ignored = 0, caught = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return true;
	const char *at = strstr(text, "\nSigPnd:");
	if (!at || sscanf(at, "\nSigPnd: %llx ShdPnd: %llx SigBlk: %llx SigIgn: %llx SigCgt: %llx",
			  &own, &shared, &blocked, &ignored, &caught) != 5)
		return true;
	uint64_t there = (own | shared) & ~blocked;
	if (signal)
		there |= UINT64_C(1) << (signal - 1);
	return (there & ~(ignored | (ignored_by_default() & ~caught))) != 0;
}

/* @signal: that is being delivered in this stop, or 0 when it is one of ours */
static void undo_eintr(struct thread_stopper *stopper, pid_t tid, int signal,
		       const struct user_regs_struct *regs)
{
	if (!thread_regs_is_eintr(regs) || has_signal(tid, signal))
		return;
	if (thread_regs_may_rewind(regs) && thread_regs_rewind(tid, regs))
		stopper->counts.rewound++;
	else
		stopper->counts.eintr_left++;
}

static size_t read_stack(pid_t pid, uint64_t sp, uint8_t *bytes, size_t n_bytes)
{
	struct iovec local = {.iov_base = bytes, .iov_len = n_bytes};
	/* one piece for each page, so that what is there before a missing one is read */
	enum { PAGE_BYTES = 4096 };
	struct iovec remote[THREAD_STOP_MAX_BYTES / PAGE_BYTES + 1];
	size_t n = 0;
	for (uint64_t at = sp; at < sp + n_bytes; n++) {
		uint64_t end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
		if (end > sp + n_bytes)
			end = sp + n_bytes;
		remote[n] = (struct iovec){(void *)(uintptr_t)at, end - at};
		at = end;
	}
	const ssize_t got = process_vm_readv(pid, &local, 1, remote, n, 0);
	return got > 0 ? (size_t)got : 0;
}

/* Copy what a sample takes. Return: false when its memory cannot be read. */
static bool copy_thread(struct thread_stopper *stopper, pid_t pid, size_t n_bytes,
			const struct user_regs_struct *regs, struct thread_copy *copy)
{
	thread_regs_copy(regs, copy);
	copy->time_ns = clock_now_ns();
	const uint64_t sp = unwind_regs_sp(&copy->regs);
	const size_t got = read_stack(pid, sp, stopper->bytes, n_bytes);
	copy->stack = (struct unwind_stack){
		.sp = sp, .bytes = stopper->bytes, .n_bytes = got, .maybe_more = got == n_bytes};
	return got > 0;
}

/* The pause has ended, or the thread's life. */
static void note_pause(struct thread_stopper *stopper, uint64_t since_ns, uint64_t *out)
{
	const uint64_t pause_ns = clock_now_ns() - since_ns;
	if (out)
		*out = pause_ns;
	if (stopper->on_pause)
		stopper->on_pause(stopper->pause_ctx, pause_ns);
}

/*
 * Let a stopped thread go.
 *
 * @status: of its stop, as look() gave it
 * @copy:   to take before, or NULL
 * Return: THREAD_STOP_GONE: it is ending, and whoever waits for that waits until we have seen it.
 */
static enum thread_stop_status release(struct thread_stopper *stopper, pid_t pid, pid_t tid,
				       int status, uint64_t since_ns, size_t n_bytes,
				       struct thread_copy *copy)
{
	const int event = status >> 8, signal = status & 0xff;
	const bool by_job_control = event == EVENT_STOP && signal != SIGTRAP;
	const int deliver = event == 0 ? signal : 0;
	enum thread_stop_status result = THREAD_STOP_HELD;
	struct user_regs_struct regs;
	if (!by_job_control) {
		const int code = thread_regs_get(tid, &regs);
		result = code == -ESRCH ? THREAD_STOP_GONE : THREAD_STOP_OTHER;
		if (code == 0 && copy && copy_thread(stopper, pid, n_bytes, &regs, copy))
			result = THREAD_STOP_TAKEN;
		if (code == 0)
			undo_eintr(stopper, tid, deliver, &regs);
		stopper->counts.short_writes += code == 0 && thread_regs_is_short_write(&regs);
	}
	/* fails when it was killed meanwhile, also by an exec: it is traced until its end is seen
	 */
	if (ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)deliver) < 0)
		result = THREAD_STOP_GONE;
	else
		stopper->counts.signals += deliver != 0;
	note_pause(stopper, since_ns, result == THREAD_STOP_TAKEN ? &copy->pause_ns : NULL);
	return result;
}

static struct thread_stop_late *find_late(struct thread_stopper *stopper, pid_t tid)
{
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++) {
		if (stopper->late[i].tid == tid)
			return &stopper->late[i];
	}
	return NULL;
}

static void set_late(struct thread_stopper *stopper, struct thread_stop_late *late, pid_t pid,
		     pid_t tid)
{
	const unsigned slot = 1 + (unsigned)(late - stopper->late);
	late->pid = pid;
	late->tid = tid;
	late->since_ns = late->looked_ns = clock_now_ns();
	watchdog_note(stopper->watchdog, slot, tid);
}

/*
 * A thread was traced and its number is gone. When it was one that executed another program, it
 * has taken over the number of its process, and is traced still.
 */
static void follow_exec(struct thread_stopper *stopper, pid_t pid, pid_t tid)
{
	char state;
	struct thread_stop_late *late = find_late(stopper, 0);
	if (late && tid != pid && procfs_tracer(pid, &state) == gettid())
		set_late(stopper, late, pid, pid);
}

/*
 * A thread of the process is still ours. Where another one executes a program, it waits for that
 * one's end to be taken, and holds what PTRACE_SEIZE waits for meanwhile (cred_guard_mutex): we
 * would never come to take it.
 */
static bool has_late_of(const struct thread_stopper *stopper, pid_t pid)
{
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++) {
		if (stopper->late[i].tid && stopper->late[i].pid == pid)
			return true;
	}
	return false;
}

static enum thread_stop_status take(struct thread_stopper *stopper, pid_t pid, pid_t tid,
				    size_t n_bytes, struct thread_copy *copy)
{
	/* without room to remember one that does not stop, none is asked to */
	struct thread_stop_late *late = find_late(stopper, 0);
	if (!late || has_late_of(stopper, pid)) {
		stopper->counts.left_out++;
		return THREAD_STOP_LATE;
	}
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return errno == EPERM || errno == EACCES ? THREAD_STOP_REFUSED : THREAD_STOP_GONE;
	const uint64_t since_ns = clock_now_ns();
	uint64_t looked_ns = since_ns;
	int status = 0;
	enum thread_stop_status result;
	/* fails when it is ending: its end is what comes then */
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	const enum seen seen = wait_for_stop(stopper, tid, since_ns, &looked_ns, &status);
	/* there is room still, but perhaps not in the same place: see follow_exec() */
	late = find_late(stopper, 0);
	switch (seen) {
	case SEEN_STOP:
		result = release(stopper, pid, tid, status, looked_ns, n_bytes, copy);
		if (result == THREAD_STOP_GONE)
			set_late(stopper, late, pid, tid);
		return result;
	case SEEN_END:
		follow_exec(stopper, pid, tid);
		return THREAD_STOP_GONE;
	default:
		set_late(stopper, late, pid, tid);
		/* one that was given up before is not slow for that */
		stopper->counts.by_status[THREAD_STOP_LATE] +=
			late->looked_ns - since_ns > THREAD_STOP_PATIENCE_NS;
		return THREAD_STOP_LATE;
	}
}

bool thread_stopper_has_late(const struct thread_stopper *stopper)
{
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++) {
		if (stopper->late[i].tid)
			return true;
	}
	return false;
}

void thread_stopper_favour(struct thread_stopper *stopper)
{
	bool may_stop = false;
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++) {
		const struct thread_stop_late *late = &stopper->late[i];
		may_stop |= late->tid && late->looked_ns - late->since_ns < CLOCK_NS_PER_S;
	}
	favour_go_first(&stopper->favour, may_stop);
}

void thread_stopper_poll(struct thread_stopper *stopper)
{
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++) {
		struct thread_stop_late *late = &stopper->late[i];
		int status = 0;
		if (!late->tid)
			continue;
		const uint64_t now_ns = clock_now_ns();
		const enum seen seen = look(stopper, late->tid, &status);
		if (seen == SEEN_NOTHING)
			late->looked_ns = now_ns;
		/* one that was killed in its stop is kept until it has ended */
		if (seen == SEEN_NOTHING ||
		    (seen == SEEN_STOP && release(stopper, 0, late->tid, status, late->looked_ns, 0,
						  NULL) == THREAD_STOP_GONE))
			continue;
		const struct thread_stop_late ended = *late;
		set_late(stopper, late, 0, 0);
		if (seen == SEEN_END)
			follow_exec(stopper, ended.pid, ended.tid);
	}
}

enum thread_stop_status thread_stop_take(struct thread_stopper *stopper, pid_t pid, pid_t tid,
					 size_t n_bytes, struct thread_copy *copy)
{
	if (n_bytes > THREAD_STOP_MAX_BYTES)
		n_bytes = THREAD_STOP_MAX_BYTES;
	thread_stopper_poll(stopper);
	watchdog_note(stopper->watchdog, 0, tid);
	/* not to lose the CPU in the middle of it */
	favour_go_first(&stopper->favour, true);
	const enum thread_stop_status status = take(stopper, pid, tid, n_bytes, copy);
	thread_stopper_favour(stopper);
	watchdog_note(stopper->watchdog, 0, 0);
	/* of the late ones, those that were asked to stop have been counted */
	stopper->counts.by_status[status] += status != THREAD_STOP_LATE;
	return status;
}

void thread_stopper_finish(struct thread_stopper *stopper, uint64_t until_ns)
{
	const struct timespec doze = {.tv_nsec = (long)DOZE_NS};
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	thread_stopper_poll(stopper);
	while (thread_stopper_has_late(stopper) && clock_now_ns() < until_ns) {
		sigtimedwait(&child, NULL, &doze);
		thread_stopper_poll(stopper);
	}
	for (size_t i = 0; i < sizeof(stopper->late) / sizeof(stopper->late[0]); i++)
		stopper->counts.unstopped += stopper->late[i].tid != 0;
}
