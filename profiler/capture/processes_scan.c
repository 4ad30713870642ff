/* What /proc tells of processes that no record has told of. */
#include "processes.h"

#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The names of a process and of its threads. Return: 0, -ESRCH, -ENOMEM. */
static int scan_names(struct processes *processes, struct process *process, bool announced)
{
	const pid_t pid = process->pid;
	pid_t *tids = NULL;
	size_t n = 0, cap = 0;
	int code = procfs_threads(pid, &tids, &n, &cap);
	char name[PROCFS_COMM_MAX];
	if (code == 0 && procfs_comm(pid, pid, name))
		processes_set_comm(process, name);
	for (size_t i = 0; i < n && code == 0; i++) {
		bool named = procfs_comm(pid, tids[i], name);
		struct thread *thread =
			processes_add_thread(processes, process, tids[i], named ? name : NULL);
		if (thread)
			thread->announced = announced;
		else
			code = -ENOMEM;
	}
	free(tids);
	return code;
}

int processes_scan(struct processes *processes, pid_t pid, struct cp_err *err)
{
	struct process *process = processes_add(processes, pid);
	if (!process)
		return cp_fail_nomem(err);
	process->born_ns = clock_now_ns();
	int code = scan_names(processes, process, true);
	if (code == -ENOMEM)
		return cp_fail_nomem(err);
	if (code < 0)
		return cp_fail(err, code, "cannot list the threads of process %d: %s", pid,
			       strerror(-code));
	uint64_t now_ns = clock_now_ns();
	code = address_space_read_proc(process->space, err);
	if (code == 0)
		process->maps_read_ns = now_ns;
	return code;
}

int processes_scan_all(struct processes *processes, struct cp_err *err)
{
	pid_t *pids = NULL;
	size_t n = 0, cap = 0;
	int code = procfs_processes(&pids, &n, &cap);
	if (code < 0 && code != -ENOMEM)
		cp_fail(err, code, "cannot list the processes in /proc: %s", strerror(-code));
	for (size_t i = 0; i < n && code == 0; i++) {
		struct process *process = processes_add(processes, pids[i]);
		if (!process) {
			code = -ENOMEM;
			break;
		}
		process->maps_doubtful = true;
		process->born_ns = clock_now_ns();
		code = scan_names(processes, process, true);
		if (code == -ESRCH) /* it ended meanwhile; without threads it is swept */
			code = 0;
		/* one that runs may have ended before its first sample is looked at */
		struct procfs_stat stat;
		if (procfs_stat(pids[i], &stat) == 0 && stat.state == 'R' && !stat.kernel_thread)
			processes_read_maps(processes, process);
	}
	free(pids);
	return code == -ENOMEM ? cp_fail_nomem(err) : code;
}

struct process *processes_meet(struct processes *processes, pid_t pid)
{
	struct process *process = processes_add(processes, pid);
	if (!process)
		return NULL;
	process->maps_doubtful = true;
	/* best effort: it may be gone */
	scan_names(processes, process, false);
	return process;
}

/* Return: true when it was added. */
static bool add_child(struct processes *processes, pid_t pid, uint64_t since_ns)
{
	struct procfs_stat stat;
	if (processes_find(processes, pid) || procfs_stat(pid, &stat) < 0 ||
	    stat.started_ns < since_ns || stat.state == 'Z' || stat.state == 'X')
		return false;
	const struct process *parent = processes_find(processes, stat.parent);
	struct process *process = parent && !parent->held ? processes_meet(processes, pid) : NULL;
	if (process)
		process->born_ns = clock_now_ns();
	return process != NULL;
}

void processes_find_children(struct processes *processes, uint64_t since_ns)
{
	pid_t *pids = NULL;
	size_t n = 0, cap = 0;
	if (procfs_processes(&pids, &n, &cap) == 0) {
		/* a child may be listed before its parent */
		for (bool found = true; found;) {
			found = false;
			for (size_t i = 0; i < n; i++)
				found = add_child(processes, pids[i], since_ns) || found;
		}
	}
	free(pids);
}

bool processes_read_maps(struct processes *processes, struct process *process)
{
	uint64_t now_ns = clock_now_ns();
	struct address_space *fresh;
	process->maps_doubtful = false;
	if (address_space_fork(process->space, process->pid, &fresh) < 0)
		return false;
	/* the maps of a process that is exiting can be read and are empty */
	if (address_space_read_proc(fresh, NULL) < 0 || address_space_count(fresh) == 0) {
		address_space_destroy(fresh);
		return false;
	}
	processes_set_space(process, fresh);
	process->maps_read_ns = now_ns;
	processes->maps_read++;
	return true;
}
