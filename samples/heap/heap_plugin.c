/*
 * A plugin of heap_plugins: built twice, with -DPLUGIN=plugin_a and plugin_b, into libraries of the
 * same size, so that one is likely to be mapped where the other was. The accounts are the host's.
 */
#include "heap_truth.h"

#include <stdlib.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define MAKE JOIN(PLUGIN, _make)

void plugin_run(void *(*note)(const char *function, int line, void *block, size_t bytes));

static HEAP_NOINLINE void MAKE(void *(*note)(const char *function, int line, void *, size_t))
{
	note(__func__, __LINE__, malloc(PLUGIN_BYTES), PLUGIN_BYTES);
}

__attribute__((visibility("default"))) void plugin_run(void *(*note)(const char *function, int line,
								     void *block, size_t bytes))
{
	for (int i = 0; i < 10; i++)
		MAKE(note);
}
