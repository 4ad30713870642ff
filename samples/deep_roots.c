/*
 * deep_roots: root_a (60) and root_b (40) take turns at random. Each calls descend, --depth frames
 * deep (1,500 unless told; 120 bytes each and more), which ends in leaf_a or leaf_b for a phase of
 * --phase-us (2,000 unless told) on the average. Nothing on the stack between the roots and the
 * leaves tells them apart: what is to be called is in static memory, and the roots have frames of
 * one size. So a stack with leaf_a below root_b was put together wrongly.
 *
 * With --shallow N every other phase is only N frames deep. With --a-pct 100 it is always root_a.
 */
#include "common/truth.h"

static struct truth_work works[2];
static struct truth_work *now;
static uint64_t until_ns, random_state = 88172645463325252u;
static long depth, shallow, phase_ns, a_pct;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % n;
}

static TRUTH_NOINLINE void leaf_a(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("leaf_a", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void leaf_b(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("leaf_b", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE uint64_t descend(long frames)
{
	volatile uint64_t locals[10] = {(uint64_t)frames};

	if (frames <= 1) {
		while (truth_cpu_ns() < until_ns)
			now->run(now->chunk);
	} else {
		locals[1] = descend(frames - 1);
	}
	return locals[0] + locals[1];
}

static TRUTH_NOINLINE void root_a(long frames)
{
	truth_sink = descend(frames);
	TRUTH_NO_TAIL_CALL();
}

/* Not the same code as root_a(), or they would be folded into one. */
static TRUTH_NOINLINE void root_b(long frames)
{
	truth_sink = descend(frames) + 1;
	TRUTH_NO_TAIL_CALL();
}

static void phase(bool odd)
{
	const uint64_t start_ns = truth_cpu_ns();

	now = &works[random_below(100) < (uint64_t)a_pct ? 0 : 1];
	until_ns = start_ns + (uint64_t)phase_ns / 2 + random_below((uint64_t)phase_ns);
	if (now == &works[0])
		root_a(odd && shallow ? shallow : depth);
	else
		root_b(odd && shallow ? shallow : depth);
	now->cpu_ns += truth_cpu_ns() - start_ns;
}

int main(int argc, char **argv)
{
	depth = truth_option(argc, argv, "--depth", 1500);
	shallow = truth_option(argc, argv, "--shallow", 0);
	a_pct = truth_option(argc, argv, "--a-pct", 60);
	phase_ns = truth_option(argc, argv, "--phase-us", 2000) * 1000;
	/* 100 to 200 us: an end of a phase is met closely */
	works[0] = (struct truth_work){.function = "leaf_a",
				       .mark = "leaf_a",
				       .run = leaf_a,
				       .weight = 60,
				       .chunk = 10000};
	works[1] = (struct truth_work){.function = "leaf_b",
				       .mark = "leaf_b",
				       .run = leaf_b,
				       .weight = 40,
				       .chunk = 10000};
	truth_start(argc, argv);
	truth_ready();
	for (bool odd = false; truth_more(); odd = !odd)
		phase(odd);
	truth_works(works, 2);
	truth_fact("depth", depth);
	return truth_end();
}
