/*
 * deep_recursion: burn_leaf (80) at the end of --depth recursive calls of descend (2,000 unless
 * told; 120 bytes each and more, so that they do not fit a stack dump of 64 KB), and burn_shallow
 * (20) beside it.
 */
#include "common/truth.h"

static struct truth_work leaf_work, shallow_work;
static struct truth_plan leaf_plan, shallow_plan;

static TRUTH_NOINLINE void burn_leaf(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_leaf", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void burn_shallow(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_shallow", TRUTH_MIX(x));
	truth_sink = x;
}

/* Frames with contents of their own, so that no optimiser makes a loop of it. */
static TRUTH_NOINLINE uint64_t descend(long depth)
{
	volatile uint64_t locals[10] = {(uint64_t)depth};

	if (depth <= 1)
		truth_block(&leaf_plan);
	else
		locals[1] = descend(depth - 1);
	return locals[0] + locals[1];
}

int main(int argc, char **argv)
{
	long depth = truth_option(argc, argv, "--depth", 2000);

	leaf_work = (struct truth_work){
		.function = "burn_leaf", .mark = "burn_leaf", .run = burn_leaf, .weight = 1};
	shallow_work = (struct truth_work){.function = "burn_shallow",
					   .mark = "burn_shallow",
					   .run = burn_shallow,
					   .weight = 1};
	leaf_plan = (struct truth_plan){.works = &leaf_work, .n = 1, .block_ns = 80000000};
	shallow_plan = (struct truth_plan){.works = &shallow_work, .n = 1, .block_ns = 20000000};
	truth_start(argc, argv);
	truth_calibrate(&leaf_plan);
	truth_calibrate(&shallow_plan);
	truth_ready();
	while (truth_more()) {
		truth_sink = descend(depth);
		truth_block(&shallow_plan);
	}
	truth_works(&leaf_work, 1);
	truth_works(&shallow_work, 1);
	truth_fact("depth", depth);
	return truth_end();
}
