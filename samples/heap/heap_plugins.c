/*
 * heap_plugins: two plugins are loaded, allocate, and are unloaded, in turn, at one address.
 *
 *	stay   the blocks stay
 *	free   all but the last round's are freed by the host, after the plugin is gone
 */
#include "heap_truth.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, BLOCKS = 10 };

typedef void *note_fn(const char *function, int line, void *block, size_t bytes);
typedef void run_fn(note_fn *note);

static void *made[BLOCKS];
static size_t n_made;
static char folder[4096];

static void *note(const char *function, int line, void *block, size_t bytes)
{
	made[n_made++] = block;
	return heap_truth_made(heap_truth_lasting(function, "heap_plugin.c", line), block, bytes);
}

/* Return: where the plugin lay. */
static void *run_plugin(const char *name, bool gives_back)
{
	char path[sizeof(folder) + 64];
	run_fn *run;
	snprintf(path, sizeof(path), "%slib%s.so", folder, name);
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library ? dlsym(library, "plugin_run") : NULL;
	if (!symbol)
		return NULL;
	memcpy(&run, &symbol, sizeof(run));
	n_made = 0;
	run(note);
	dlclose(library);
	for (size_t i = 0; i < n_made && gives_back; i++)
		heap_free(made[i]);
	return symbol;
}

static int run_rounds(bool gives_back)
{
	uint64_t same_address = 0;
	for (int round = 0; round < ROUNDS; round++) {
		void *a = run_plugin("heap_plugin_a", gives_back && round < ROUNDS - 1);
		void *b = run_plugin("heap_plugin_b", gives_back && round < ROUNDS - 1);
		if (!a || !b)
			return 1;
		same_address += a == b;
	}
	heap_truth_fact("same_address", same_address);
	heap_truth_end();
	return 0;
}

static int run_stay(int argc, char **argv)
{
	(void)argc, (void)argv;
	return run_rounds(false);
}

static int run_free(int argc, char **argv)
{
	(void)argc, (void)argv;
	return run_rounds(true);
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {{"stay", run_stay}, {"free", run_free}};
	const char *slash = strrchr(argv[0], '/');
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - argv[0] + 1) : 0, argv[0]);
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}
