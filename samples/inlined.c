/*
 * inlined: all time is in mix_inner, inlined into mix_outer, inlined into caller_left (70) and
 * caller_right (30). Neither of the inlined functions exists as a symbol.
 */
#include "common/truth.h"

static TRUTH_INLINE uint64_t mix_inner(uint64_t x)
{
	HOT("mix_inner", TRUTH_MIX(x));
	return x;
}

static TRUTH_INLINE uint64_t mix_outer(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		x = mix_inner(x);
	return x;
}

static TRUTH_NOINLINE void caller_left(uint64_t n)
{
	truth_sink = mix_outer(n);
}

static TRUTH_NOINLINE void caller_right(uint64_t n)
{
	truth_sink = mix_outer(n) + 1;
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "caller_left", .mark = "mix_inner", .run = caller_left, .weight = 70},
		{.function = "caller_right",
		 .mark = "mix_inner",
		 .run = caller_right,
		 .weight = 30},
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
