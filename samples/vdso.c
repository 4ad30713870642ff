/*
 * vdso: 80 in a loop around clock_gettime, which runs in the vDSO, a library that is no file;
 * 20 own computing.
 */
#include "common/truth.h"

#include <time.h>

static TRUTH_NOINLINE void ask_clock(uint64_t n)
{
	struct timespec t = {0};

	for (uint64_t i = 0; i < n; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		truth_sink = (uint64_t)t.tv_nsec;
	}
}

static TRUTH_NOINLINE void burn_user(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_user", TRUTH_MIX(x));
	truth_sink = x;
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "ask_clock", .run = ask_clock, .weight = 80},
		{.function = "burn_user", .mark = "burn_user", .run = burn_user, .weight = 20},
	};
	struct truth_plan plan = {.works = works, .n = 2, .block_ns = 150000000};

	truth_start(argc, argv);
	truth_calibrate(&plan);
	truth_ready();
	while (truth_more())
		truth_block(&plan);
	truth_works(works, 2);
	return truth_end();
}
