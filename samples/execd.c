/*
 * sample_execd REPORT_FD BLOCK_NS: what fork_exec executes. Works for BLOCK_NS of CPU time and
 * writes what it really used to REPORT_FD.
 */
#include "common/truth.h"

#include <stdlib.h>
#include <unistd.h>

static TRUTH_NOINLINE void burn_execd(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_execd", TRUTH_MIX(x));
	truth_sink = x;
}

int main(int argc, char **argv)
{
	/* A chunk that is far below a phase on any machine; calibrating would cost time. */
	struct truth_work work = {
		.function = "burn_execd", .run = burn_execd, .weight = 1, .chunk = 8192};
	struct truth_plan plan = {.works = &work, .n = 1};

	if (argc != 3)
		return 2;
	plan.block_ns = strtoull(argv[2], NULL, 10);
	truth_block(&plan);
	if (write(atoi(argv[1]), &work.cpu_ns, sizeof(work.cpu_ns)) != sizeof(work.cpu_ns))
		return 1;
	return 0;
}
