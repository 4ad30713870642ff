#include "dispatch.h"

#include "perf_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * True when a record comes from the events that count for its thread. A thread that was created
 * while cprof attached may have two sets: those opened for it and those inherited from its
 * creator. Both exist for as long as the thread does, so the first one seen is kept to.
 */
static bool from_its_source(struct thread *thread, perf_owner owner)
{
	if (!thread || owner == PERF_OWNER_SYSTEM)
		return true;
	if (thread->source == PERF_OWNER_NONE)
		thread->source = owner;
	return thread->source == owner;
}

/* The process of a record; one whose birth was missed is looked up in /proc. */
static struct process *process_of(struct dispatch *d, pid_t pid)
{
	struct process *process = processes_find(d->processes, pid);
	if (process || d->known_only || pid <= 0)
		return process;
	return processes_meet(d->processes, pid);
}

/*
 * Where the whole machine is recorded, some samples are of tasks without a number: 0 of those that
 * live outside of cprof's PID namespace, -1 of those that have been reaped and run their last
 * instructions. They are kept under a name that says so.
 */
static struct process *process_without_number(struct dispatch *d, pid_t pid, perf_owner owner)
{
	if (d->known_only || owner != PERF_OWNER_SYSTEM)
		return NULL;
	struct process *process = processes_add(d->processes, pid);
	if (process)
		processes_set_comm(process, pid == 0 ? "[outside]" : "[exited]");
	return process;
}

static enum sink_regs kind_of_regs(uint64_t abi)
{
	switch (abi) {
	case PERF_SAMPLE_REGS_ABI_NONE:
		return SINK_REGS_NONE;
	case PERF_SAMPLE_REGS_ABI_64:
		return SINK_REGS_64;
	default:
		return SINK_REGS_OTHER;
	}
}

static void sample_of_record(const struct sample_sink *sink, const struct perf_record *record,
			     struct sink_sample *out)
{
	const struct perf_sample_record *sample = &record->sample;
	*out = (struct sink_sample){
		.time_ns = record->time_ns,
		.in_kernel =
			(record->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL,
		.kernel_pc = sample->ip,
		.chain = sample->chain,
		.n_chain = sample->n_chain,
		.regs_kind = kind_of_regs(sample->regs_abi),
		.regs_known = UINT32_MAX, /* all */
		.count = 1,
		.value_ns = sink->period_ns ? sink->period_ns : (int64_t)sample->period,
	};
	if (out->regs_kind == SINK_REGS_NONE)
		return;
	uint64_t values[64];
	memcpy(values, sample->regs, sink->n_regs * sizeof(values[0]));
	unwind_regs_from_perf(&out->regs, values, sink->n_regs);
	out->stack = (struct unwind_stack){
		.sp = unwind_regs_sp(&out->regs),
		.bytes = sample->stack,
		.n_bytes = sample->stack_bytes,
		.maybe_more = sample->stack_full,
	};
}

static bool add_sample(struct dispatch *d, struct thread *thread, const struct perf_record *record)
{
	struct sink_sample sample;
	sample_of_record(d->sink, record, &sample);
	if (d->wall) {
		sample.state = CP_STATE_RUNNING;
		return wall_add_running(d->wall, thread, &sample) == 0;
	}
	return sample_sink_add(d->sink, thread, &sample) == 0;
}

/* The thread of a record; one whose birth was missed is looked up in /proc. */
static struct thread *thread_of(struct dispatch *d, struct process *process, pid_t tid)
{
	struct thread *thread = processes_find_thread(d->processes, tid);
	if (thread && thread->process == process)
		return thread;
	char name[PROCFS_COMM_MAX];
	const bool named = procfs_comm(process->pid, tid, name);
	thread = processes_add_thread(d->processes, process, tid, named ? name : NULL);
	if (thread)
		thread->announced = process->pid <= 0;
	return thread;
}

static void on_sample(struct dispatch *d, const struct perf_record *record, perf_owner owner)
{
	struct process *process = (pid_t)record->pid > 0
					  ? process_of(d, (pid_t)record->pid)
					  : process_without_number(d, (pid_t)record->pid, owner);
	if (!process) {
		d->counts.untracked += !d->known_only;
		return;
	}
	if (process->held)
		return;
	if (perf_events_is_double(d->events, record->id, record->time_ns)) {
		d->counts.overlaps++;
		return;
	}
	struct thread *thread = thread_of(d, process, (pid_t)record->tid);
	if (!thread) {
		d->counts.untracked++;
	} else if (!from_its_source(thread, owner)) {
		d->counts.duplicates++;
	} else if (!add_sample(d, thread, record)) {
		d->counts.untracked++;
	}
}

static void on_switch(struct dispatch *d, const struct perf_record *record, perf_owner owner)
{
	if (!d->off_cpu || (pid_t)record->pid <= 0)
		return;
	struct process *process = process_of(d, (pid_t)record->pid);
	if (!process) {
		d->counts.untracked += !d->known_only;
		return;
	}
	if (process->held)
		return;
	struct thread *thread = thread_of(d, process, (pid_t)record->tid);
	if (!thread)
		d->counts.untracked++;
	else if (!thread->exited && from_its_source(thread, owner))
		off_cpu_switched(d->off_cpu, thread, record->time_ns, record->sw.out,
				 record->sw.preempted);
}

static void on_mmap(struct dispatch *d, const struct perf_record *record)
{
	static const char DELETED[] = " (deleted)";
	const struct perf_mmap_record *mmap = &record->mmap;
	struct process *process = process_of(d, (pid_t)mmap->pid);
	if (!process) {
		d->counts.untracked += !d->known_only;
		return;
	}
	if (record->time_ns < process->maps_read_ns)
		return;
	char path[PROCFS_PATH_MAX];
	snprintf(path, sizeof(path), "%s", mmap->path);
	struct mapping_file file = {
		.path = path,
		.dev_major = mmap->dev_major,
		.dev_minor = mmap->dev_minor,
		.inode = mmap->inode,
	};
	size_t n = strlen(path), n_suffix = sizeof(DELETED) - 1;
	if (n > n_suffix && strcmp(path + n - n_suffix, DELETED) == 0) {
		path[n - n_suffix] = 0;
		file.deleted = true;
	}
	if (address_space_add(process->space, mmap->avma, mmap->avma + mmap->size_bytes,
			      mmap->file_off, &file) < 0)
		d->counts.untracked++;
}

static void on_comm(struct dispatch *d, const struct perf_record *record, perf_owner owner)
{
	const struct perf_comm_record *comm = &record->comm;
	pid_t pid = (pid_t)comm->pid, tid = (pid_t)comm->tid;
	int code = 0;
	if (comm->exec) {
		if (!d->known_only || processes_find(d->processes, pid))
			code = processes_exec(d->processes, pid, comm->comm, owner);
	} else if (process_of(d, pid)) {
		code = processes_comm(d->processes, pid, tid, comm->comm);
	}
	d->counts.untracked += code < 0;
}

static void on_fork(struct dispatch *d, const struct perf_record *record, perf_owner owner)
{
	const struct perf_task_record *task = &record->task;
	bool is_process = task->pid != task->parent_pid;
	if (d->known_only && (!processes_find(d->processes, (pid_t)task->parent_pid) ||
			      (is_process && !d->follow_children))) {
		/* a stranger with the number of a process that was ours */
		if (is_process)
			processes_drop(d->processes, (pid_t)task->pid);
		return;
	}
	/* the record is written by the creator, once for each set of its events */
	if (!from_its_source(processes_find_thread(d->processes, (pid_t)record->tid), owner))
		return;
	int code = processes_fork(d->processes, (pid_t)task->parent_pid, (pid_t)task->parent_tid,
				  (pid_t)task->pid, (pid_t)task->tid);
	d->counts.untracked += code < 0;
	if (code == 0 && d->off_cpu)
		off_cpu_born(d->off_cpu, (pid_t)task->pid, (pid_t)task->tid, record->time_ns);
	if (code == 0 && is_process)
		processes_find(d->processes, (pid_t)task->pid)->born_ns = record->time_ns;
}

/* What a task maps, is called and gives birth to that lives outside of our PID namespace. */
static bool is_of_no_number(const struct perf_record *record)
{
	switch (record->type) {
	case PERF_RECORD_MMAP2:
		return (pid_t)record->mmap.pid <= 0;
	case PERF_RECORD_COMM:
		return (pid_t)record->comm.pid <= 0;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		return (pid_t)record->task.pid <= 0;
	default:
		return false;
	}
}

void dispatch_record(void *dispatch, const struct perf_event_header *header)
{
	struct dispatch *d = dispatch;
	struct perf_record record;
	if (!perf_record_parse(header, &d->layout, &record)) {
		d->counts.untracked++;
		return;
	}
	perf_owner owner = perf_events_owner(d->events, record.id);
	if (is_of_no_number(&record))
		return;
	switch (record.type) {
	case PERF_RECORD_SAMPLE:
		on_sample(d, &record, owner);
		break;
	case PERF_RECORD_MMAP2:
		on_mmap(d, &record);
		break;
	case PERF_RECORD_COMM:
		on_comm(d, &record, owner);
		break;
	case PERF_RECORD_FORK:
		on_fork(d, &record, owner);
		break;
	case PERF_RECORD_EXIT:
		if (d->off_cpu)
			off_cpu_ended(d->off_cpu, (pid_t)record.task.tid, record.time_ns);
		processes_exit(d->processes, (pid_t)record.task.tid, record.time_ns);
		break;
	case PERF_RECORD_SWITCH:
	case PERF_RECORD_SWITCH_CPU_WIDE:
		on_switch(d, &record, owner);
		break;
	case PERF_RECORD_LOST:
	case PERF_RECORD_LOST_SAMPLES:
		d->counts.lost += record.lost;
		d->lost_since_sweep = true;
		processes_doubt(d->processes);
		break;
	case PERF_RECORD_THROTTLE:
		d->counts.throttled++;
		break;
	default:
		break;
	}
}
