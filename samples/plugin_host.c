/*
 * plugin_host: rounds of own work (40), then a plugin is loaded, works (40), is unloaded, and
 * another one is loaded, works (20) and is unloaded. The facts say whether the second plugin lay
 * at the address of the first.
 */
#include "common/truth.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { ROUND_NS = 300000000 };

typedef void plugin_run_fn(uint64_t n);
typedef void plugin_marks_fn(const char **begin, const char **end);

static TRUTH_NOINLINE void burn_host(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_host", TRUTH_MIX(x));
	truth_sink = x;
}

/* POSIX allows the conversion that ISO C does not. */
static void *find(void *library, const char *name, void *out)
{
	void *symbol = dlsym(library, name);

	memcpy(out, &symbol, sizeof(symbol));
	return symbol;
}

/* Return: where the plugin lay, NULL when it did not load. */
static void *run_plugin(const char *path, struct truth_plan *plan)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	plugin_marks_fn *marks;
	const char *begin, *end;
	void *where;

	if (!library) {
		fprintf(stderr, "plugin_host: %s\n", dlerror());
		return NULL;
	}
	where = find(library, "plugin_run", &plan->works[0].run);
	if (where && find(library, "plugin_marks", &marks)) {
		if (!plan->works[0].chunk)
			truth_calibrate(plan);
		truth_block(plan);
		marks(&begin, &end);
		truth_lines(begin, end);
	}
	dlclose(library);
	return where;
}

static void path_of(char *path, size_t size, const char *program, const char *plugin)
{
	const char *slash = strrchr(program, '/');

	snprintf(path, size, "%.*s%s", slash ? (int)(slash - program + 1) : 0, program, plugin);
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "burn_host", .mark = "burn_host", .run = burn_host, .weight = 1},
		{.function = "plugin_a_burn", .mark = "plugin_a", .weight = 1},
		{.function = "plugin_b_burn", .mark = "plugin_b", .weight = 1},
	};
	struct truth_plan host = {.works = &works[0], .n = 1, .block_ns = ROUND_NS / 10 * 4};
	struct truth_plan a = {.works = &works[1], .n = 1, .block_ns = ROUND_NS / 10 * 4};
	struct truth_plan b = {.works = &works[2], .n = 1, .block_ns = ROUND_NS / 10 * 2};
	char path_a[4096], path_b[4096];
	long rounds = 0, same_address = 0;

	path_of(path_a, sizeof(path_a), argv[0], "libsample_plugin_a.so");
	path_of(path_b, sizeof(path_b), argv[0], "libsample_plugin_b.so");
	truth_start(argc, argv);
	truth_calibrate(&host);
	truth_ready();
	for (; truth_more(); rounds++) {
		void *where_a, *where_b;

		truth_block(&host);
		where_a = run_plugin(path_a, &a);
		where_b = run_plugin(path_b, &b);
		if (!where_a || !where_b)
			return 1;
		same_address += where_a == where_b;
	}
	truth_works(works, 3);
	truth_fact("rounds", rounds);
	truth_fact("same_address", same_address);
	return truth_end();
}
