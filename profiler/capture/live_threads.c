#include "live_threads.h"

#include "base/array.h"
#include "clock.h"
#include "live_programs.h"
#include "procfs.h"
#include "thread_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LIST_NS (CLOCK_NS_PER_S / 10)
#define NAME_NS CLOCK_NS_PER_S
#define OLDER_NS CLOCK_NS_PER_S

/* Births are told in ticks of 10 ms, rounded. */
#define BIRTH_SLACK_NS UINT64_C(20000000)

/* Of a process with more threads, so many are asked for children at a time. */
enum { CHILD_LISTS = 64 };

void live_threads_init(struct live_threads *live)
{
	struct rlimit limit;
	/* the rest is for binaries, files, and other users of descriptors in this process */
	enum { FDS_OF_OTHERS = 256 };
	live->start_ns = clock_now_ns();
	live->fds_max = 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FDS_OF_OTHERS)
		live->fds_max = (size_t)(limit.rlim_cur - FDS_OF_OTHERS);
}

void live_threads_close_fd(struct live_threads *live, int *fd)
{
	if (*fd >= 0) {
		close(*fd);
		live->n_fds--;
	}
	*fd = -1;
}

int live_threads_open_fd(struct live_threads *live, const char *path, int flags)
{
	if (live->n_fds >= live->fds_max)
		return -1;
	const int fd = open(path, flags | O_CLOEXEC);
	live->n_fds += fd >= 0;
	return fd;
}

static void free_process(struct live_threads *live, struct live_process *process)
{
	for (size_t i = 0; i < process->n; i++)
		live_threads_close_fd(live, &process->threads[i].syscall_fd);
	live_threads_close_fd(live, &process->task_fd);
	live_threads_close_fd(live, &process->mem_fd);
	free(process->threads);
	free(process);
}

void live_threads_deinit(struct live_threads *live)
{
	for (size_t i = 0; i < live->n; i++)
		free_process(live, live->items[i]);
	free(live->items);
	free(live->older);
	live->items = NULL;
	live->older = NULL;
	live->n = live->cap = live->n_threads = live->n_older = live->cap_older = 0;
}

/* The CPU clock of a process (clock_getcpuclockid(3)); unchanged when there is none any more. */
static void look_at_clock(const struct live_process *process, uint64_t *out_ns)
{
	clockid_t clock;
	struct timespec time;
	if (clock_getcpuclockid(process->pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
		return;
	const uint64_t ns = (uint64_t)time.tv_sec * CLOCK_NS_PER_S + (uint64_t)time.tv_nsec;
	*out_ns = ns > *out_ns ? ns : *out_ns;
}

static uint64_t unsampled_ns(const struct live_process *process)
{
	const uint64_t used_ns = process->cpu_seen_ns - process->cpu_start_ns;
	return used_ns > process->sampled_ns ? used_ns - process->sampled_ns : 0;
}

static int by_tid(const void *a, const void *b)
{
	const pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return (x > y) - (x < y);
}

/* Other engines look at it too, whether it is ever sampled here or not. */
static void tell_thread(struct live_threads *live, pid_t pid, pid_t tid)
{
	char name[PROCFS_COMM_MAX];
	struct process *process = processes_find(live->processes, pid);
	const bool named = process && procfs_comm(pid, tid, name);
	if (process)
		processes_add_thread(live->processes, process, tid, named ? name : NULL);
}

static void begin_thread(struct live_threads *live, struct live_thread *thread, pid_t pid,
			 pid_t tid, bool is_new)
{
	char path[64];
	struct thread_sched sched = {0};
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	*thread = (struct live_thread){
		.pid = pid, .tid = tid, .syscall_fd = live_threads_open_fd(live, path, O_RDONLY)};
	if (!is_new && thread_look_sched(pid, tid, &sched) == 0)
		thread->cpu_ns = sched.run_ns;
	if (live->tells_all)
		tell_thread(live, pid, tid);
}

static void end_thread(struct live_threads *live, struct live_thread *thread)
{
	live_threads_close_fd(live, &thread->syscall_fd);
	processes_exit(live->processes, thread->tid, clock_now_ns());
}

/* readdir() of /proc/PID/task may miss an entry when another one goes while it runs. */
static bool was_missed(const struct live_thread *thread)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", thread->pid, thread->tid);
	return !thread->has_ended && access(path, F_OK) == 0;
}

/*
 * Bring the list of threads in line with @tids, which are sorted. One that stays keeps what is
 * known of it: taken for a new one, all its CPU time would count once more.
 */
static int merge(struct live_threads *live, struct live_process *process, const pid_t *tids,
		 size_t n_tids, bool all_new)
{
	struct live_thread *threads = calloc(process->n + n_tids + 1, sizeof(*threads));
	if (!threads)
		return -ENOMEM;
	size_t n = 0, i = 0;
	for (size_t at = 0; at < process->n || i < n_tids;) {
		struct live_thread *old = at < process->n ? &process->threads[at] : NULL;
		if (!old || (i < n_tids && tids[i] < old->tid)) {
			begin_thread(live, &threads[n++], process->pid, tids[i++], all_new);
			continue;
		}
		const bool is_listed = i < n_tids && tids[i] == old->tid;
		if (old->has_ended || (!is_listed && !was_missed(old))) {
			end_thread(live, old);
			if (is_listed)
				begin_thread(live, &threads[n++], process->pid, old->tid, true);
		} else {
			threads[n++] = *old;
		}
		i += is_listed;
		at++;
	}
	free(process->threads);
	process->threads = threads;
	process->n = n;
	return 0;
}

/* The directory stays that of the process, whoever has its number by now. */
static bool is_alive(const struct live_process *process)
{
	char tid[16];
	struct stat st;
	if (process->task_fd < 0)
		return true;
	snprintf(tid, sizeof(tid), "%d", process->pid);
	/* not by faccessat(): it is another system call by now, which sandboxes do not know */
	return fstatat(process->task_fd, tid, &st, 0) == 0;
}

/* Return: 0, -ESRCH, -ENOMEM. */
static int list(struct live_threads *live, struct live_process *process, uint64_t now_ns,
		bool all_new)
{
	struct stat st;
	pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	if (process->task_fd >= 0 && fstat(process->task_fd, &st) == 0)
		process->n_links = st.st_nlink;
	int code = is_alive(process) ? procfs_threads(process->pid, &tids, &n, &cap) : -ESRCH;
	if (code == 0)
		look_at_clock(process, &process->cpu_seen_ns);
	if (code == 0 && n == 0)
		code = -ESRCH;
	if (code == 0) {
		qsort(tids, n, sizeof(*tids), by_tid);
		live->n_threads -= process->n;
		code = merge(live, process, tids, n, all_new);
		live->n_threads += process->n;
	}
	process->listed_ns = now_ns;
	free(tids);
	return code;
}

static struct live_process *find(const struct live_threads *live, pid_t pid)
{
	for (size_t i = 0; i < live->n; i++) {
		if (live->items[i]->pid == pid)
			return live->items[i];
	}
	return NULL;
}

int live_threads_add(struct live_threads *live, pid_t pid, bool born_now)
{
	char path[64];
	if (find(live, pid))
		return 0;
	struct live_process *process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	*process = (struct live_process){.pid = pid, .mem_fd = -1};
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	process->task_fd = live_threads_open_fd(live, path, O_RDONLY | O_DIRECTORY);
	live_programs_begin(live, process);
	if (!born_now)
		look_at_clock(process, &process->cpu_start_ns);
	process->cpu_seen_ns = process->cpu_start_ns;
	int code = list(live, process, clock_now_ns(), born_now);
	struct live_process **slot = NULL;
	if (code == 0) /* NOLINTNEXTLINE(bugprone-sizeof-expression): the items are pointers */
		slot = CP_ARRAY_PUSH(live->items, live->n, live->cap);
	if (!slot) {
		live->n_threads -= process->n;
		free_process(live, process);
		return code == 0 ? -ENOMEM : code;
	}
	*slot = process;
	return 0;
}

/*
 * Children that were there before the recording are not of it, nor by perf: all that they have used
 * in their lives would be told as used now. Numbers are used again, so what is remembered of them
 * is forgotten once a second.
 */
static bool is_older(struct live_threads *live, pid_t pid)
{
	struct procfs_stat stat;
	for (size_t i = 0; i < live->n_older; i++) {
		if (live->older[i] == pid)
			return true;
	}
	if (procfs_stat(pid, &stat) < 0 || stat.started_ns + BIRTH_SLACK_NS >= live->start_ns)
		return false;
	pid_t *slot = CP_ARRAY_PUSH(live->older, live->n_older, live->cap_older);
	if (slot)
		*slot = pid;
	return true;
}

static int add_child(struct live_threads *live, pid_t pid)
{
	if (find(live, pid) || is_older(live, pid))
		return 0;
	struct process *process = processes_meet(live->processes, pid);
	if (!process)
		return -ENOMEM;
	process->born_ns = clock_now_ns();
	const int code = live_threads_add(live, pid, true);
	return code == -ESRCH ? 0 : code;
}

/* The children of a thread are listed with it (CONFIG_PROC_CHILDREN). */
static int add_children(struct live_threads *live, struct live_process *process)
{
	const pid_t pid = process->pid;
	int code = 0;
	for (size_t i = 0; i < process->n && i < CHILD_LISTS && code == 0; i++) {
		char path[64], text[4096];
		const struct live_thread *thread =
			&process->threads[process->next_child_list++ % process->n];
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, thread->tid);
		if (procfs_read(path, text, sizeof(text)) <= 0)
			continue;
		char *end = text;
		for (long child = strtol(text, &end, 10); child > 0 && code == 0;
		     child = strtol(end, &end, 10))
			code = add_child(live, (pid_t)child);
	}
	return code;
}

static void forget(struct live_threads *live, size_t i)
{
	struct live_process *process = live->items[i];
	for (size_t k = 0; k < process->n; k++)
		processes_exit(live->processes, process->threads[k].tid, clock_now_ns());
	live->n_threads -= process->n;
	live->ended_unsampled_ns += unsampled_ns(process);
	live->ended_sampled_ns += process->sampled_ns;
	free_process(live, process);
	live->items[i] = live->items[--live->n];
}

static bool is_due(const struct live_process *process, uint64_t now_ns)
{
	struct stat st;
	if (now_ns - process->listed_ns >= LIST_NS)
		return true;
	/* gone: the list will tell */
	return process->task_fd >= 0 &&
	       (fstat(process->task_fd, &st) < 0 || st.st_nlink != process->n_links);
}

int live_threads_update(struct live_threads *live, uint64_t now_ns)
{
	int code = 0;
	if (now_ns - live->older_ns >= OLDER_NS) {
		live->n_older = 0;
		live->older_ns = now_ns;
	}
	for (size_t i = 0; i < live->n && code == 0;) {
		struct live_process *process = live->items[i];
		if (!is_due(process, now_ns)) {
			i++;
			continue;
		}
		code = list(live, process, now_ns, true);
		if (code == -ESRCH) {
			forget(live, i);
			code = 0;
			continue;
		}
		if (code == 0)
			live_programs_look(live, process);
		if (code == 0 && live->follow_children)
			code = add_children(live, process);
		i++;
	}
	return code;
}

struct live_thread *live_threads_next(struct live_threads *live, struct live_process **out_process)
{
	/* the rest of one process, the others, back to the first, and that one anew */
	for (size_t step = 0; step < live->n + 2; step++) {
		struct live_process *process =
			live->next_process < live->n ? live->items[live->next_process] : NULL;
		if (process && live->next_thread < process->n) {
			*out_process = process;
			return &process->threads[live->next_thread++];
		}
		live->next_process = process ? live->next_process + 1 : 0;
		live->next_thread = 0;
	}
	return NULL;
}

void live_threads_look_at_clocks(struct live_threads *live)
{
	for (size_t i = 0; i < live->n; i++) {
		if (is_alive(live->items[i]))
			look_at_clock(live->items[i], &live->items[i]->cpu_seen_ns);
	}
}

uint64_t live_threads_unsampled_ns(const struct live_threads *live)
{
	uint64_t sum_ns = live->ended_unsampled_ns;
	for (size_t i = 0; i < live->n; i++)
		sum_ns += unsampled_ns(live->items[i]);
	return sum_ns;
}

uint64_t live_threads_sampled_ns(const struct live_threads *live)
{
	uint64_t sum_ns = live->ended_sampled_ns;
	for (size_t i = 0; i < live->n; i++)
		sum_ns += live->items[i]->sampled_ns;
	return sum_ns;
}

bool live_thread_is_running(struct live_thread *thread)
{
	/* proc(5), /proc/PID/syscall: "running", or what the thread waits in */
	char text[64] = "";
	ssize_t n;
	if (thread->syscall_fd >= 0) {
		n = pread(thread->syscall_fd, text, sizeof(text), 0);
		n = n < 0 ? -errno : n;
	} else {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", thread->pid, thread->tid);
		n = procfs_read(path, text, sizeof(text));
	}
	/* for want of descriptors or memory of ours it has not ended: begun anew, all its time
	 * would count again */
	thread->has_ended = n == 0 || n == -ESRCH || n == -ENOENT;
	return text[0] == 'r';
}

struct thread *live_thread_named(struct live_threads *live, struct live_thread *thread,
				 uint64_t now_ns)
{
	char name[PROCFS_COMM_MAX];
	struct thread *known = processes_find_thread(live->processes, thread->tid);
	if (known && known->process->pid == thread->pid && thread->named_ns &&
	    now_ns - thread->named_ns < NAME_NS)
		return known;
	thread->named_ns = now_ns;
	if (!procfs_comm(thread->pid, thread->tid, name))
		return known && known->process->pid == thread->pid ? known : NULL;
	if (processes_comm(live->processes, thread->pid, thread->tid, name) < 0)
		return NULL;
	return processes_find_thread(live->processes, thread->tid);
}
