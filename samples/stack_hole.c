/*
 * stack_hole: cmd_a (60) and cmd_b (40) each call read_file, whose buffer of 40,000 bytes is
 * touched at its inner end only, and that calls parse and spin_a or spin_b for a phase of
 * --phase-ms CPU time (700 unless told). The pages in the middle of the buffer are not in memory:
 * where a copy of the stack ends there, what lies outward of it is lost. Which spin is to be called
 * is in static memory: a stack with spin_a below cmd_b was put together wrongly.
 *
 * The frames of the two are not of one size, as those of most functions are not; with --same 1
 * they are.
 */
#include "common/truth.h"

enum { BUFFER_BYTES = 40000, TOUCHED_BYTES = 1000 };

static struct truth_work works[2];
static struct truth_work *now;
static uint64_t until_ns;

static TRUTH_NOINLINE void spin_a(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("spin_a", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void spin_b(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("spin_b", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void parse(const char *text)
{
	truth_sink += (uint64_t)text[0];
	while (truth_cpu_ns() < until_ns)
		(now == &works[0] ? spin_a : spin_b)(10000);
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void read_file(void)
{
	char buffer[BUFFER_BYTES];
	volatile char *to = buffer;

	for (size_t i = 0; i < TOUCHED_BYTES; i++)
		to[i] = (char)i;
	parse(buffer);
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void cmd_a(uint64_t unused)
{
	truth_sink = unused;
	read_file();
	TRUTH_NO_TAIL_CALL();
}

static TRUTH_NOINLINE void cmd_b(uint64_t unused)
{
	volatile uint64_t locals[20] = {unused};

	read_file();
	truth_sink = locals[0];
	TRUTH_NO_TAIL_CALL();
}

/* As cmd_a(), but other code, or the two would be folded into one. */
static TRUTH_NOINLINE void cmd_b_same(uint64_t unused)
{
	truth_sink = unused + 1;
	read_file();
	TRUTH_NO_TAIL_CALL();
}

static void phase(size_t which, long phase_ns)
{
	const uint64_t start_ns = truth_cpu_ns();

	now = &works[which];
	until_ns = start_ns + (uint64_t)phase_ns / 50 * now->weight;
	now->run(1);
	now->cpu_ns += truth_cpu_ns() - start_ns;
}

int main(int argc, char **argv)
{
	const long phase_ns = truth_option(argc, argv, "--phase-ms", 700) * 1000000;
	const long same = truth_option(argc, argv, "--same", 0);
	works[0] = (struct truth_work){
		.function = "cmd_a", .mark = "spin_a", .run = cmd_a, .weight = 60, .chunk = 1};
	works[1] = (struct truth_work){.function = "cmd_b",
				       .mark = "spin_b",
				       .run = same ? cmd_b_same : cmd_b,
				       .weight = 40,
				       .chunk = 1};
	if (same)
		works[1].function = "cmd_b_same";
	truth_start(argc, argv);
	truth_ready();
	for (size_t i = 0; truth_more(); i++)
		phase(i % 2, phase_ns);
	truth_works(works, 2);
	return truth_end();
}
