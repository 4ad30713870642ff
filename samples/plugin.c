/*
 * A plugin of plugin_host: built twice, with -DPLUGIN=plugin_a and plugin_b, into libraries of
 * the same size, so that one is likely to be mapped where the other was.
 */
#include "common/truth.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define BURN JOIN(PLUGIN, _burn)

volatile uint64_t plugin_sink;

void plugin_run(uint64_t n);
void plugin_marks(const char **begin, const char **end);

static TRUTH_NOINLINE void BURN(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT(TRUTH_TEXT(PLUGIN), TRUTH_MIX(x));
	plugin_sink = x;
}

__attribute__((visibility("default"))) void plugin_run(uint64_t n)
{
	BURN(n);
	TRUTH_NO_TAIL_CALL();
}

extern const char __start_truth_marks[] __attribute__((visibility("hidden")));
extern const char __stop_truth_marks[] __attribute__((visibility("hidden")));

__attribute__((visibility("default"))) void plugin_marks(const char **begin, const char **end)
{
	*begin = __start_truth_marks;
	*end = __stop_truth_marks;
}
