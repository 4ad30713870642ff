/*
 * place.h - where the file goes.
 *
 * On a disk, writing back dirty pages now and then makes a store wait, in the middle of somebody's
 * malloc. So the file is put on a tmpfs where there is room, and copied from there. It is found
 * again by the mapping in /proc/PID/maps. An existing file is never overwritten, since it may be
 * another run's only record: the next free number is appended.
 *
 * Depends on: heap_file.h. Threads: the constructor's, or a forked child's only one.
 */
#ifndef CPROF_HEAP_SHIM_PLACE_H
#define CPROF_HEAP_SHIM_PLACE_H

#include <stdbool.h>

#include "heap/heap_file.h"

struct place {
	char path[HEAP_PATH_BYTES];
	int fd;
};

/**
 * Make the empty file.
 *
 * @output:  pattern of its name, with %p for the pid; "" = the default places
 * @exe:     path of the running program
 * @attempt: 0, 1, ...: the places in order of preference
 * Return: false when there is none left.
 */
bool place_open(struct place *place, const char *output, const char *exe, unsigned attempt);

#endif
