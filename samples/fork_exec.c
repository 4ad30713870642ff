/*
 * fork_exec: rounds of own work (25), a forked child that works (30), and a forked child that
 * executes sample_execd, another program, which works (45). Children report the CPU time of
 * their work over a pipe; starting them costs a little more.
 */
#include "common/truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUND_NS = 400000000 };

static TRUTH_NOINLINE void burn_parent(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_parent", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void burn_child(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_child", TRUTH_MIX(x));
	truth_sink = x;
}

static void execute(const char *path, int report_fd)
{
	char fd_text[16];
	char block_text[16];

	snprintf(fd_text, sizeof(fd_text), "%d", report_fd);
	snprintf(block_text, sizeof(block_text), "%d", ROUND_NS / 100 * 45);
	execl(path, path, fd_text, block_text, (char *)NULL);
	_exit(127);
}

/* Return: CPU time of the child's work, 0 when it failed. */
static uint64_t run_child(struct truth_plan *plan, const char *path)
{
	uint64_t used_ns = 0;
	int ends[2], status;
	pid_t pid;

	if (pipe(ends))
		return 0;
	pid = fork();
	if (pid == 0) {
		if (path)
			execute(path, ends[1]);
		truth_block(plan);
		used_ns = plan->works[0].cpu_ns;
		_exit(write(ends[1], &used_ns, sizeof(used_ns)) == sizeof(used_ns) ? 0 : 1);
	}
	close(ends[1]);
	if (pid < 0 || read(ends[0], &used_ns, sizeof(used_ns)) != sizeof(used_ns))
		used_ns = 0;
	close(ends[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		used_ns = 0;
	return used_ns;
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "burn_parent", .mark = "burn_parent", .run = burn_parent, .weight = 1},
		{.function = "burn_child", .mark = "burn_child", .run = burn_child, .weight = 1},
		{.function = "burn_execd", .weight = 1},
	};
	struct truth_plan parent = {.works = &works[0], .n = 1, .block_ns = ROUND_NS / 100 * 25};
	struct truth_plan child = {.works = &works[1], .n = 1, .block_ns = ROUND_NS / 100 * 30};
	const char *slash = strrchr(argv[0], '/');
	uint64_t child_ns = 0;
	char path[4096];
	long rounds = 0;

	snprintf(path, sizeof(path), "%.*ssample_execd", slash ? (int)(slash - argv[0] + 1) : 0,
		 argv[0]);
	truth_start(argc, argv);
	truth_calibrate(&parent);
	truth_calibrate(&child);
	truth_ready();
	for (; truth_more(); rounds++) {
		uint64_t forked_ns, executed_ns;

		truth_block(&parent);
		forked_ns = run_child(&child, NULL);
		executed_ns = run_child(NULL, path);
		if (!forked_ns || !executed_ns)
			return 1;
		child_ns += forked_ns;
		works[2].cpu_ns += executed_ns;
	}
	works[1].cpu_ns = child_ns;
	truth_works(works, 3);
	truth_process("fork_exec", works[0].cpu_ns + child_ns);
	truth_process("sample_execd", works[2].cpu_ns);
	truth_fact("rounds", rounds);
	return truth_end();
}
