#include "live_programs.h"

#include "base/cleanup.h"
#include "base/index.h"
#include "clock.h"
#include "procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Something that another program's process does not have: its addresses are random. */
static uint64_t program_of(pid_t pid)
{
	char path[64], text[2048];
	unsigned long long start_code, start_stack;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return 0;
	/* proc(5): fields 26 and 28, counted from behind the name */
	const char *fields = strrchr(text, ')');
	if (!fields ||
	    sscanf(fields + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %*u %*u %*d %*u %llu %*u %llu",
		   &start_code, &start_stack) != 2)
		return 0;
	return start_code ^ start_stack << 1;
}

void live_programs_begin(struct live_threads *live, struct live_process *process)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", process->pid);
	live_threads_close_fd(live, &process->mem_fd);
	process->mem_fd = live_threads_open_fd(live, path, O_RDONLY);
	process->program = program_of(process->pid);
}

/* Another program: what was known of the old one is void. */
static void replace_program(struct live_threads *live, struct live_process *process)
{
	char name[PROCFS_COMM_MAX] = "";
	procfs_comm(process->pid, process->pid, name);
	live->execs++;
	live_programs_begin(live, process);
	if (processes_exec(live->processes, process->pid, name, PERF_OWNER_NONE) < 0)
		return;
	struct process *known = processes_find(live->processes, process->pid);
	known->in_exec = false;
	known->born_ns = clock_now_ns();
	known->maps_retry_ns = 0;
	processes_read_maps(live->processes, known);
	known->maps_doubtful = known->maps_read_ns == 0;
}

void live_programs_look(struct live_threads *live, struct live_process *process)
{
	if (program_of(process->pid) != process->program)
		replace_program(live, process);
}

/* Of the lines of /proc/PID/maps that are of code; 0 = unknown. */
static uint64_t hash_code(pid_t pid)
{
	char path[64];
	uint64_t hash = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	CP_CLEANUP(cp_close_file) FILE *maps = fopen(path, "re");
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	while (maps && (n = getline(&line, &cap, maps)) > 0) {
		/* start-end rwxp ... */
		const char *rights = strchr(line, ' ');
		if (rights && strlen(rights) > 4 && rights[3] == 'x')
			hash = cp_hash_mix(hash, cp_hash_bytes(line, (size_t)n));
	}
	return hash;
}

void live_programs_check_code(struct live_threads *live)
{
	for (size_t i = 0; i < live->n; i++) {
		struct live_process *process = live->items[i];
		struct process *known = processes_find(live->processes, process->pid);
		if (!process->has_samples || !known)
			continue;
		process->has_samples = false;
		const uint64_t hash = hash_code(process->pid);
		if (process->code_hash && hash && hash != process->code_hash)
			processes_read_maps(live->processes, known);
		process->code_hash = hash;
	}
}

bool live_programs_has_changed(struct live_threads *live, struct live_process *process,
			       uint64_t avma)
{
	char byte;
	/* it reads the memory of the program that it was opened for: none, once that is gone */
	if (process->mem_fd < 0 || pread(process->mem_fd, &byte, 1, (off_t)avma) == 1)
		return false;
	/* or the stack has moved, or it was that of a child of vfork */
	if (program_of(process->pid) != process->program)
		replace_program(live, process);
	else
		live_programs_begin(live, process);
	return true;
}
