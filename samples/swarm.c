/*
 * swarm: rounds of processes that live for 1 to 3 ms, one after the other: programs named swarm_a
 * and swarm_b, a forked child that executes nothing, and a program swarm_c that half way takes the
 * name swarm_new. Each reports the CPU time of its work over a pipe; starting it costs about as
 * much again. --same-pid 1 (as root): as long as nobody else is born, all have the same process id.
 */
#include "common/truth.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KIND_A, KIND_B, KIND_FORKED, KIND_C, KINDS };
enum { MS = 1000000 };

static char folder[4096];
static int last_pid_fd = -1;
static pid_t same_pid;

static TRUTH_NOINLINE void burn_forked(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_forked", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE uint64_t forked_work(uint64_t block_ns)
{
	uint64_t begin_ns = truth_cpu_ns(), now_ns;

	do {
		burn_forked(2048);
		now_ns = truth_cpu_ns();
	} while (now_ns < begin_ns + block_ns);
	return now_ns - begin_ns;
}

static void execute(int kind, uint64_t block_ns, int report_fd)
{
	static const char *const programs[KINDS] = {"swarm_a", "swarm_b", NULL, "swarm_c"};
	char path[sizeof(folder) + 16], fd_text[16], block_text[32];

	snprintf(path, sizeof(path), "%s%s", folder, programs[kind]);
	snprintf(fd_text, sizeof(fd_text), "%d", report_fd);
	snprintf(block_text, sizeof(block_text), "%llu", (unsigned long long)block_ns);
	execl(path, path, fd_text, block_text, kind == KIND_C ? "swarm_new" : NULL, (char *)NULL);
	_exit(127);
}

/* The next process gets the number that the first one had, if that is free. */
static void choose_pid(void)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", same_pid - 1);

	if (last_pid_fd >= 0 && same_pid && pwrite(last_pid_fd, text, (size_t)n, 0) != n)
		_exit(1);
}

/* CPU time of a child's work, and of its second half if that has another name. */
static int run_child(int kind, uint64_t block_ns, uint64_t used_ns[2])
{
	int ends[2], status, code = -1;
	pid_t pid;

	if (pipe(ends))
		return -1;
	choose_pid();
	pid = fork();
	if (pid == 0) {
		if (kind != KIND_FORKED)
			execute(kind, block_ns, ends[1]);
		used_ns[0] = forked_work(block_ns);
		used_ns[1] = 0;
		_exit(write(ends[1], used_ns, 2 * sizeof(*used_ns)) > 0 ? 0 : 1);
	}
	if (!same_pid)
		same_pid = pid;
	close(ends[1]);
	if (pid > 0 && read(ends[0], used_ns, 2 * sizeof(*used_ns)) == 2 * sizeof(*used_ns))
		code = 0;
	close(ends[0]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		code = -1;
	return code;
}

static uint64_t random_between(uint64_t low, uint64_t high)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return low + (state >> 33) % (high - low);
}

int main(int argc, char **argv)
{
	static const uint64_t block_ns[KINDS][2] = {
		{1 * MS, 2 * MS}, {2 * MS, 3 * MS}, {1 * MS, 3 * MS}, {1 * MS / 2, 3 * MS / 2}};
	struct truth_work works[] = {{.function = "cell_work"}, {.function = "forked_work"}};
	const char *slash = strrchr(argv[0], '/');
	uint64_t used_ns[KINDS][2] = {{0}};
	long rounds = 0, cells = 0;

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - argv[0] + 1) : 0, argv[0]);
	if (truth_option(argc, argv, "--same-pid", 0)) {
		last_pid_fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		if (last_pid_fd < 0)
			return 1;
	}
	long most = truth_option(argc, argv, "--rounds", 1L << 40);
	truth_start(argc, argv);
	truth_ready();
	for (; truth_more() && rounds < most; rounds++) {
		for (int kind = 0; kind < KINDS; kind++, cells++) {
			uint64_t used[2];

			if (run_child(kind, random_between(block_ns[kind][0], block_ns[kind][1]),
				      used))
				return 1;
			used_ns[kind][0] += used[0];
			used_ns[kind][1] += used[1];
		}
	}
	works[0].cpu_ns =
		used_ns[KIND_A][0] + used_ns[KIND_B][0] + used_ns[KIND_C][0] + used_ns[KIND_C][1];
	works[1].cpu_ns = used_ns[KIND_FORKED][0];
	truth_works(works, 2);
	truth_process("swarm_a", used_ns[KIND_A][0]);
	truth_process("swarm_b", used_ns[KIND_B][0]);
	truth_process("swarm", used_ns[KIND_FORKED][0]);
	truth_process("swarm_c", used_ns[KIND_C][0]);
	truth_process("swarm_new", used_ns[KIND_C][1]);
	truth_fact("cells", cells);
	return truth_end();
}
