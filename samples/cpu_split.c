/*
 * cpu_split: 60/30/10 over three functions. burn_b has two hot lines, of 20 and 10; burn_a and
 * burn_b are called through group_ab, whose total is 90.
 *
 * Built several times: with debug information, without, stripped, with the debug information in
 * a file of its own, without frame pointers and with them.
 */
#include "common/truth.h"

/* In the stripped build only what is exported still has a name: burn_c has none. */
#define EXPORTED TRUTH_NOINLINE __attribute__((visibility("default")))

void burn_a(uint64_t n);
void burn_b(uint64_t n, int second);

EXPORTED void burn_a(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_a", TRUTH_MIX(x));
	truth_sink = x;
}

EXPORTED void burn_b(uint64_t n, int second)
{
	uint64_t x = n;

	for (uint64_t i = 0; !second && i < n; i++)
		HOT("burn_b.first", TRUTH_MIX(x));
	for (uint64_t i = 0; second && i < n; i++)
		HOT("burn_b.second", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void burn_c(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_c", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void group_ab(uint64_t n, int which)
{
	if (which)
		burn_b(n, which > 1);
	else
		burn_a(n);
	TRUTH_NO_TAIL_CALL();
}

static void run_a(uint64_t n)
{
	group_ab(n, 0);
	TRUTH_NO_TAIL_CALL();
}

static void run_b_first(uint64_t n)
{
	group_ab(n, 1);
	TRUTH_NO_TAIL_CALL();
}

static void run_b_second(uint64_t n)
{
	group_ab(n, 2);
	TRUTH_NO_TAIL_CALL();
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "burn_a", .mark = "burn_a", .run = run_a, .weight = 60},
		{.function = "burn_b", .mark = "burn_b.first", .run = run_b_first, .weight = 20},
		{.function = "burn_b", .mark = "burn_b.second", .run = run_b_second, .weight = 10},
		{.function = "burn_c", .mark = "burn_c", .run = burn_c, .weight = 10},
	};
	struct truth_plan plan = {.works = works, .n = 4, .block_ns = 150000000};

	truth_start(argc, argv);
	truth_calibrate(&plan);
	truth_ready();
	while (truth_more())
		truth_block(&plan);
	truth_works(works, 4);
	return truth_end();
}
