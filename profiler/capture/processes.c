#include "processes.h"

#include "clock.h"
#include "wall_thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket(pid_t id)
{
	return (uint32_t)id * 2654435761U >> 20 & (PROCESSES_BUCKETS - 1);
}

int processes_create(struct processes **out)
{
	struct processes *processes = calloc(1, sizeof(*processes));
	if (!processes)
		return -ENOMEM;
	int code = image_store_create(&processes->images);
	if (code < 0) {
		free(processes);
		return code;
	}
	*out = processes;
	return 0;
}

void processes_set_space(struct process *process, struct address_space *space)
{
	unwinder_destroy(process->unwinder);
	process->unwinder = NULL;
	address_space_destroy(process->space);
	process->space = space;
}

static void free_process(struct process *process)
{
	processes_set_space(process, NULL);
	free(process);
}

static void free_thread(struct thread *thread)
{
	wall_thread_destroy(thread->wall);
	free(thread);
}

void processes_destroy(struct processes *processes)
{
	if (!processes)
		return;
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct thread *thread = processes->by_tid[i], *next; thread; thread = next) {
			next = thread->next;
			free_thread(thread);
		}
		for (struct process *process = processes->by_pid[i], *next; process;
		     process = next) {
			next = process->next;
			free_process(process);
		}
	}
	image_store_destroy(processes->images);
	free(processes);
}

struct process *processes_find(const struct processes *processes, pid_t pid)
{
	struct process *process = processes->by_pid[bucket(pid)];
	while (process && process->pid != pid)
		process = process->next;
	return process;
}

struct thread *processes_find_thread(const struct processes *processes, pid_t tid)
{
	struct thread *thread = processes->by_tid[bucket(tid)];
	while (thread && thread->tid != tid)
		thread = thread->next;
	return thread;
}

static void set_name(char out[PROCFS_COMM_MAX], const char *name)
{
	size_t n = strnlen(name, PROCFS_COMM_MAX - 1);
	memcpy(out, name, n);
	out[n] = 0;
}

void processes_set_comm(struct process *process, const char *name)
{
	if (strncmp(process->comm, name, PROCFS_COMM_MAX - 1) == 0)
		return;
	set_name(process->comm, name);
	process->comm_version++;
}

struct process *processes_add(struct processes *processes, pid_t pid)
{
	struct process *process = processes_find(processes, pid);
	if (process)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	if (address_space_create(processes->images, pid, &process->space) < 0) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	process->next = processes->by_pid[bucket(pid)];
	processes->by_pid[bucket(pid)] = process;
	processes->n_processes++;
	return process;
}

static void leave_process(struct thread *thread)
{
	if (thread->sibling)
		thread->sibling->sibling_before = thread->sibling_before;
	if (thread->sibling_before)
		thread->sibling_before->sibling = thread->sibling;
	else
		thread->process->threads = thread->sibling;
	if (!thread->exited)
		thread->process->n_live--;
}

/* An entry for @tid as if it had just been made. */
static struct thread *new_thread(struct processes *processes, struct process *process, pid_t tid)
{
	struct thread *thread = processes_find_thread(processes, tid);
	if (thread) {
		struct thread *next = thread->next;
		leave_process(thread);
		wall_thread_destroy(thread->wall);
		*thread = (struct thread){.next = next};
	} else {
		thread = calloc(1, sizeof(*thread));
		if (!thread)
			return NULL;
		thread->next = processes->by_tid[bucket(tid)];
		processes->by_tid[bucket(tid)] = thread;
	}
	processes->threads_version++;
	thread->tid = tid;
	thread->process = process;
	thread->announced = true;
	thread->sibling = process->threads;
	if (thread->sibling)
		thread->sibling->sibling_before = thread;
	process->threads = thread;
	process->n_live++;
	return thread;
}

struct thread *processes_add_thread(struct processes *processes, struct process *process, pid_t tid,
				    const char *name)
{
	struct thread *thread = processes_find_thread(processes, tid);
	if (thread && thread->process == process)
		return thread;
	thread = new_thread(processes, process, tid);
	if (thread)
		set_name(thread->name, name ? name : process->comm);
	return thread;
}

void processes_exit(struct processes *processes, pid_t tid, uint64_t time_ns)
{
	struct thread *thread = processes_find_thread(processes, tid);
	if (thread && !thread->exited) {
		thread->exited = true;
		thread->exited_at = processes->n_sweeps;
		thread->exited_ns = time_ns;
		thread->process->n_live--;
		processes->threads_version++;
	}
}

static void exit_all(struct processes *processes, struct process *process)
{
	for (struct thread *thread = process->threads; thread; thread = thread->sibling)
		processes_exit(processes, thread->tid, clock_now_ns());
}

/* A new life: nothing stays of an earlier process with this number. */
static void forget(struct processes *processes, struct process *process)
{
	exit_all(processes, process);
	unwinder_destroy(process->unwinder);
	address_space_clear(process->space);
	*process = (struct process){
		.pid = process->pid,
		.comm_version = process->comm_version + 1,
		.space = process->space,
		.threads = process->threads,
		.next = process->next,
	};
}

/* Mappings and names of a process that was born as a copy of @parent. */
static int become_copy(struct processes *processes, struct process *process, struct process *parent)
{
	struct address_space *space;
	/* what it gets from its parent may be all that is ever known of it */
	if (parent->maps_doubtful)
		processes_read_maps(processes, parent);
	if (address_space_fork(parent->space, process->pid, &space) < 0)
		return -ENOMEM;
	processes_set_space(process, space);
	processes_set_comm(process, parent->comm);
	return 0;
}

int processes_fork(struct processes *processes, pid_t parent_pid, pid_t parent_tid, pid_t pid,
		   pid_t tid)
{
	struct process *parent = processes_find(processes, parent_pid);
	const struct thread *creator = processes_find_thread(processes, parent_tid);
	struct process *process = processes_find(processes, pid);
	const struct thread *known = processes_find_thread(processes, tid);
	if (pid == parent_pid && known && known->process == process && !known->exited)
		return 0; /* found in /proc already */
	if (!process) {
		process = processes_add(processes, pid);
		if (!process)
			return -ENOMEM;
	}
	if (pid != parent_pid) {
		forget(processes, process);
		process->maps_doubtful = !parent;
		if (parent && become_copy(processes, process, parent) < 0)
			return -ENOMEM;
		if (creator) /* the child's only thread has its creator's name */
			processes_set_comm(process, creator->name);
	}
	struct thread *thread = new_thread(processes, process, tid);
	if (!thread)
		return -ENOMEM;
	set_name(thread->name, creator ? creator->name : process->comm);
	return 0;
}

int processes_comm(struct processes *processes, pid_t pid, pid_t tid, const char *name)
{
	struct process *process = processes_add(processes, pid);
	struct thread *thread =
		process ? processes_add_thread(processes, process, tid, name) : NULL;
	if (!thread)
		return -ENOMEM;
	if (strncmp(thread->name, name, PROCFS_COMM_MAX - 1) != 0) {
		set_name(thread->name, name);
		thread->label = 0;
	}
	if (pid == tid)
		processes_set_comm(process, name);
	return 0;
}

int processes_exec(struct processes *processes, pid_t pid, const char *name, perf_owner source)
{
	struct process *process = processes_add(processes, pid);
	if (!process)
		return -ENOMEM;
	/* the other threads are gone, and the one that called exec has the number of the first */
	exit_all(processes, process);
	unwinder_destroy(process->unwinder);
	process->unwinder = NULL;
	address_space_clear(process->space);
	process->maps_read_ns = 0;
	process->maps_doubtful = false;
	process->held = false;
	process->in_exec = true;
	process->jit_module = 0;
	processes_set_comm(process, name);
	const struct thread *before = processes_find_thread(processes, pid);
	bool has_samples = before && before->has_samples;
	struct thread *thread = new_thread(processes, process, pid);
	if (!thread)
		return -ENOMEM;
	set_name(thread->name, name);
	thread->has_samples = has_samples;
	thread->source = source;
	return 0;
}

void processes_forget_labels(struct processes *processes)
{
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct thread *thread = processes->by_tid[i]; thread; thread = thread->next)
			thread->label = 0;
	}
}

/* @link: what points to it in its bucket */
static void free_thread_at(struct processes *processes, struct thread **link)
{
	struct thread *thread = *link;
	leave_process(thread);
	*link = thread->next;
	processes->threads_version++;
	free_thread(thread);
}

static void free_process_at(struct processes *processes, struct process **link)
{
	struct process *process = *link;
	*link = process->next;
	processes->n_processes--;
	free_process(process);
}

void processes_drop(struct processes *processes, pid_t pid)
{
	struct process **link = &processes->by_pid[bucket(pid)];
	while (*link && (*link)->pid != pid)
		link = &(*link)->next;
	if (!*link)
		return;
	while ((*link)->threads) {
		struct thread **thread = &processes->by_tid[bucket((*link)->threads->tid)];
		while (*thread != (*link)->threads)
			thread = &(*thread)->next;
		free_thread_at(processes, thread);
	}
	free_process_at(processes, link);
}

/* True when the number is of a process that was born later than the one that is known by it. */
static bool is_another(const struct process *process)
{
	/* a tick, and what lies between the birth and its record */
	enum { SLACK_NS = 50000000 };
	struct procfs_stat stat;
	return process->born_ns && procfs_stat(process->pid, &stat) == 0 &&
	       stat.started_ns > process->born_ns + SLACK_NS;
}

/* Those whose EXIT is not to be waited for any more. */
static void look_for_ended(struct processes *processes, bool all)
{
	for (size_t i = 0; all && i < PROCESSES_BUCKETS; i++) {
		for (struct process *process = processes->by_pid[i], *next; process;
		     process = next) {
			next = process->next;
			if (is_another(process))
				processes_drop(processes, process->pid);
			else if (procfs_has_ended(process->pid))
				exit_all(processes, process);
		}
	}
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (const struct thread *thread = processes->by_tid[i]; thread;
		     thread = thread->next) {
			/* /proc knows every thread under its own number */
			if (!thread->announced && !thread->exited && procfs_has_ended(thread->tid))
				processes_exit(processes, thread->tid, clock_now_ns());
		}
	}
}

void processes_sweep(struct processes *processes, bool ask_kernel)
{
	look_for_ended(processes, ask_kernel);
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct thread **link = &processes->by_tid[i]; *link;) {
			struct thread *thread = *link;
			if (!thread->exited || thread->exited_at == processes->n_sweeps) {
				link = &thread->next;
				continue;
			}
			free_thread_at(processes, link);
		}
	}
	processes->n_sweeps++;
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct process **link = &processes->by_pid[i]; *link;) {
			struct process *process = *link;
			if (process->threads) {
				link = &process->next;
				continue;
			}
			free_process_at(processes, link);
		}
	}
}

void processes_add_cpu_time(const struct processes *processes, struct cpu_time *sum)
{
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		const struct process *process = processes->by_pid[i];
		for (; process; process = process->next) {
			/* born during the recording, so all its time counts */
			struct cpu_time_watch watch = {
				.pid = process->pid, .with_children = true, .known = true};
			if (process->is_target || process->n_live == 0)
				continue;
			cpu_time_update(&watch);
			cpu_time_add(&watch, sum);
		}
	}
}

void processes_doubt(struct processes *processes)
{
	for (size_t i = 0; i < PROCESSES_BUCKETS; i++) {
		for (struct process *process = processes->by_pid[i]; process;
		     process = process->next)
			process->maps_doubtful = true;
	}
}
