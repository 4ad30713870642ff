#include "cpu_time.h"

#include "procfs.h"

static bool read_time(const struct cpu_time_watch *watch, struct cpu_time *out)
{
	struct procfs_stat stat;
	if (watch->pid == CPU_TIME_MACHINE)
		return procfs_machine_time(&out->user_ns, &out->system_ns) == 0;
	if (procfs_stat(watch->pid, &stat) < 0)
		return false;
	out->user_ns = stat.user_ns + (watch->with_children ? stat.children_user_ns : 0);
	out->system_ns = stat.system_ns + (watch->with_children ? stat.children_system_ns : 0);
	return true;
}

void cpu_time_begin(struct cpu_time_watch *watch, pid_t pid, bool with_children)
{
	*watch = (struct cpu_time_watch){.pid = pid, .with_children = with_children};
	watch->known = read_time(watch, &watch->at_start);
	watch->latest = watch->at_start;
}

void cpu_time_update(struct cpu_time_watch *watch)
{
	struct cpu_time now;
	if (watch->known && read_time(watch, &now))
		watch->latest = now;
}

static uint64_t difference(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

bool cpu_time_add(const struct cpu_time_watch *watch, struct cpu_time *sum)
{
	if (!watch->known)
		return false;
	sum->user_ns += difference(watch->latest.user_ns, watch->at_start.user_ns);
	sum->system_ns += difference(watch->latest.system_ns, watch->at_start.system_ns);
	return true;
}

struct cpu_time cpu_time_divide(uint64_t total_ns, struct cpu_time ticks)
{
	uint64_t ticks_ns = ticks.user_ns + ticks.system_ns;
	double system_share = ticks_ns ? (double)ticks.system_ns / (double)ticks_ns : 0;
	uint64_t system_ns = (uint64_t)((double)total_ns * system_share);
	if (system_ns > total_ns)
		system_ns = total_ns;
	return (struct cpu_time){.user_ns = total_ns - system_ns, .system_ns = system_ns};
}
