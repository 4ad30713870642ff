#include "targets.h"

#include "base/array.h"
#include "base/index.h"
#include "pidfd.h"
#include "procfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check(pid_t pid, struct cp_err *err)
{
	struct procfs_stat stat;
	uid_t uid;
	pid_t tgid;
	if (procfs_stat(pid, &stat) < 0 || procfs_owner(pid, &uid, &tgid) < 0)
		return cp_fail(err, -ESRCH, "no such process: %d", pid);
	if (tgid != pid)
		return cp_fail(err, -EINVAL, "%d is a thread of process %d: use -p %d", pid, tgid,
			       tgid);
	if (stat.kernel_thread)
		return cp_fail(err, -EINVAL,
			       "%d is a thread of the kernel: it has no program to profile", pid);
	if (procfs_has_ended(pid))
		return cp_fail(err, -ESRCH,
			       "process %d has ended: it only waits for its parent to notice", pid);
	if (procfs_runs_32_bit("", pid))
		return cp_fail(err, -ENOTSUP,
			       "process %d runs a 32-bit program: its stacks cannot be unwound",
			       pid);
	return 0;
}

int targets_open(const pid_t *pids, size_t n, struct targets *out, struct cp_err *err)
{
	struct targets targets = {.items = calloc(n + 1, sizeof(*targets.items))};
	if (!targets.items)
		return cp_fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct target *target = &targets.items[targets.n];
		/* the descriptor first: what is checked then is the process it stands for */
		int pidfd = pids[i] > 0 ? pidfd_open_cloexec(pids[i]) : -ESRCH;
		target->pid = pids[i];
		target->pidfd = pidfd < 0 ? -1 : pidfd;
		targets.n++;
		int code = check(pids[i], err);
		if (code < 0) {
			targets_close(&targets);
			return code;
		}
	}
	targets.n_alive = targets.n;
	*out = targets;
	return 0;
}

void targets_close(struct targets *targets)
{
	for (size_t i = 0; i < targets->n; i++) {
		if (targets->items[i].pidfd >= 0)
			close(targets->items[i].pidfd);
	}
	free(targets->items);
	memset(targets, 0, sizeof(*targets));
}

bool targets_all_ended(const struct targets *targets)
{
	return targets->n > 0 && targets->n_alive == 0;
}

void targets_begin(struct targets *targets, bool with_children)
{
	if (targets->whole_machine)
		cpu_time_begin(&targets->machine, CPU_TIME_MACHINE, false);
	for (size_t i = 0; i < targets->n; i++)
		cpu_time_begin(&targets->items[i].cpu, targets->items[i].pid, with_children);
}

void targets_update(struct targets *targets)
{
	if (targets->whole_machine)
		cpu_time_update(&targets->machine);
	for (size_t i = 0; i < targets->n; i++) {
		if (!targets->items[i].ended)
			cpu_time_update(&targets->items[i].cpu);
	}
}

bool targets_cpu_time(const struct targets *targets, struct cpu_time *out)
{
	struct cpu_time sum = {0};
	bool known = targets->whole_machine && cpu_time_add(&targets->machine, &sum);
	for (size_t i = 0; i < targets->n && !targets->whole_machine; i++)
		known = cpu_time_add(&targets->items[i].cpu, &sum) || known;
	*out = sum;
	return known;
}

void targets_end(struct targets *targets, struct target *target)
{
	if (target->ended)
		return;
	cpu_time_update(&target->cpu);
	target->ended = true;
	targets->n_alive--;
}

/* Threads that have events. */
struct attached {
	pid_t *tids;
	size_t n, cap;
	struct cp_index index;
};

static bool tid_equal(const void *key, const void *owner, uint32_t i)
{
	return ((const struct attached *)owner)->tids[i] == *(const pid_t *)key;
}

static uint64_t tid_hash(pid_t tid)
{
	return cp_hash_mix((uint64_t)tid, 0);
}

static bool is_attached(const struct attached *attached, pid_t tid)
{
	return cp_index_find(&attached->index, tid_hash(tid), tid_equal, &tid, attached) !=
	       CP_INDEX_NONE;
}

static int add_attached(struct attached *attached, pid_t tid)
{
	pid_t *slot = CP_ARRAY_PUSH(attached->tids, attached->n, attached->cap);
	if (!slot)
		return -ENOMEM;
	*slot = tid;
	return cp_index_add(&attached->index, tid_hash(tid), (uint32_t)(attached->n - 1));
}

static int attach_thread(struct perf_events *events, struct attached *attached, pid_t tid)
{
	int code = perf_events_attach(events, tid);
	if (code == -EINVAL && events->setup.follow == PERF_FOLLOW_THREADS) {
		/* Linux before 5.13: follow the children too, the reader leaves them out */
		events->setup.follow = PERF_FOLLOW_CHILDREN;
		code = perf_events_attach(events, tid);
	}
	if (code == -ESRCH)
		return 0; /* ended since it was listed */
	return code < 0 ? code : add_attached(attached, tid);
}

/* Attach to what is new. Return: 0 or -errno; *found_new when there was something. */
static int attach_new(const struct targets *targets, struct perf_events *events,
		      struct attached *attached, bool *found_new)
{
	pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	int code = 0;
	*found_new = false;
	for (size_t i = 0; i < targets->n && code == 0; i++) {
		code = procfs_threads(targets->items[i].pid, &tids, &n, &cap);
		if (code == -ESRCH) {
			code = 0; /* ended: the loop will see */
			continue;
		}
		for (size_t k = 0; k < n && code == 0; k++) {
			if (is_attached(attached, tids[k]))
				continue;
			*found_new = true;
			code = attach_thread(events, attached, tids[k]);
		}
	}
	free(tids);
	return code;
}

static int attach_threads(const struct targets *targets, struct perf_events *events,
			  size_t *n_attached)
{
	/*
	 * Threads of attached threads inherit, so only those born of a thread before its turn are
	 * missing; each round leaves fewer. One quiet round is not enough: readdir of
	 * /proc/PID/task may miss an entry when another one goes while it runs. A program that
	 * creates threads all the time is never quiet, hence the limit.
	 */
	enum { ROUNDS_MAX = 64, ROUNDS_QUIET = 2 };
	struct attached attached = {0};
	int code = 0;
	for (int round = 0, quiet = 0; round < ROUNDS_MAX && quiet < ROUNDS_QUIET && code == 0;
	     round++) {
		bool found_new;
		code = attach_new(targets, events, &attached, &found_new);
		quiet = found_new ? 0 : quiet + 1;
	}
	*n_attached = attached.n;
	free(attached.tids);
	cp_index_deinit(&attached.index);
	return code;
}

static size_t count_threads(const struct targets *targets)
{
	pid_t *tids = NULL;
	size_t n = 0, cap = 0, sum = 0;
	for (size_t i = 0; i < targets->n; i++) {
		if (procfs_threads(targets->items[i].pid, &tids, &n, &cap) == 0)
			sum += n;
	}
	free(tids);
	return sum;
}

bool targets_prefer_cpus(const struct perf_probe *probe, size_t n_threads, size_t n_cpus)
{
	/*
	 * Beyond so many CPUs, interrupting them all for the sake of one process has to be worth
	 * it: when half a period is lost on that many pairs, half a second is at 1 kHz.
	 */
	enum { CPUS_FEW = 32, PAIRS_MANY = 1000 };
	/* The period of a cycle counter follows a CPU's load: only a thread's own tells its time.
	 */
	if (!probe->system_wide || probe->hardware_cycles)
		return false;
	return n_cpus <= CPUS_FEW || n_threads * n_cpus >= PAIRS_MANY;
}

static int attach_cpus(struct perf_events *events, struct cp_err *err)
{
	perf_events_detach(events);
	events->setup.follow = PERF_FOLLOW_NONE;
	events->setup.enable_on_exec = false;
	int code = perf_events_attach_system(events);
	if (code < 0)
		return cp_fail(err, code, "cannot open an event on each CPU: %s", strerror(-code));
	return 0;
}

/* There are not enough descriptors for an event for each thread on each CPU. */
static int attach_fewer(const struct perf_probe *probe, struct perf_events *events,
			size_t n_threads, size_t limit, struct cp_err *err)
{
	if (probe->system_wide)
		return attach_cpus(events, err);
	perf_events_detach(events);
	return cp_fail(
		err, -EMFILE,
		"out of file descriptors: %zu threads on %zu CPUs take %zu events, the limit "
		"is %zu; raise it with `ulimit -n %zu` (above the hard limit as root), or run "
		"cprof with sudo, which can do with one event per CPU",
		n_threads, events->n_rings, n_threads * events->n_rings, limit,
		n_threads * events->n_rings * 5 / 4 + 1024);
}

static int attach_failed(int code, const struct targets *targets, struct cp_err *err)
{
	if (code == -EACCES || code == -EPERM) {
		struct perf_probe probe;
		for (size_t i = 0; i < targets->n; i++) {
			perf_probe_run(targets->items[i].pid, &probe);
			if (!probe.usable)
				return cp_fail(err, code, "%s\n%s", probe.reason, probe.remedy);
		}
	}
	if (code == -ENOMEM)
		return cp_fail_nomem(err);
	return cp_fail(err, code, "cannot record process %d: perf_event_open: %s",
		       targets->items[0].pid, strerror(-code));
}

int targets_attach(const struct targets *targets, const struct perf_probe *probe,
		   enum recorder_scope scope, struct perf_events *events, struct cp_err *err)
{
	size_t n_threads = count_threads(targets), limit, n_attached = 0;
	if (targets->whole_machine || scope == RECORDER_SCOPE_CPUS ||
	    (scope == RECORDER_SCOPE_AUTO &&
	     targets_prefer_cpus(probe, n_threads, events->n_rings)))
		return attach_cpus(events, err);
	/* more than there are now: some will be born before all are attached */
	if (!perf_events_fit(events, n_threads + n_threads / 16 + 4, &limit))
		return attach_fewer(probe, events, n_threads, limit, err);
	int code = attach_threads(targets, events, &n_attached);
	if (code == -EMFILE || code == -ENFILE)
		return attach_fewer(probe, events, n_threads, limit, err);
	if (code < 0)
		return attach_failed(code, targets, err);
	if (n_attached == 0)
		return cp_fail(err, -ESRCH, "process %d ended before it could be recorded",
			       targets->items[0].pid);
	return 0;
}
