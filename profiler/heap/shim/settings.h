/*
 * settings.h - what the environment asks for.
 *
 * Read once, in the constructor: the target may change its environment later, and a forked child
 * must do the same as its parent.
 *
 * Depends on: heap_file.h. Threads: the constructor's.
 */
#ifndef CPROF_HEAP_SHIM_SETTINGS_H
#define CPROF_HEAP_SHIM_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"

struct settings {
	uint64_t sample_bytes; /* 0 = every block */
	uint64_t seed;
	uint32_t max_blocks, max_nodes, max_sites, max_modules, n_replicas;
	uint32_t refused;             /* bits by enum heap_setting */
	bool wanted;                  /* this process is to be recorded */
	bool follow_forks;            /* and those it forks */
	bool populate;                /* make the whole file at the start */
	char output[HEAP_PATH_BYTES]; /* pattern of the file's name; "" = the default place */
};

/** @exe: path of the running program */
void settings_read(struct settings *settings, const char *exe);

#endif
