/*
 * swarm_a, swarm_b, swarm_c REPORT_FD BLOCK_NS [NAME]: what swarm executes, a thousand times over.
 * Works for BLOCK_NS of CPU time, with NAME for as long again under that name, and writes what both
 * really took to REPORT_FD.
 */
#include "common/truth.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static TRUTH_NOINLINE void burn_cell(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_cell", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE uint64_t cell_work(uint64_t block_ns)
{
	uint64_t begin_ns = truth_cpu_ns(), now_ns;

	do {
		burn_cell(2048);
		now_ns = truth_cpu_ns();
	} while (now_ns < begin_ns + block_ns);
	return now_ns - begin_ns;
}

int main(int argc, char **argv)
{
	uint64_t used_ns[2] = {0, 0}, block_ns;

	if (argc < 3)
		return 2;
	block_ns = strtoull(argv[2], NULL, 10);
	used_ns[0] = cell_work(block_ns);
	if (argc > 3) {
		prctl(PR_SET_NAME, argv[3]);
		used_ns[1] = cell_work(block_ns);
	}
	if (write(atoi(argv[1]), used_ns, sizeof(used_ns)) != sizeof(used_ns))
		return 1;
	return 0;
}
