/*
 * heap_map.h - make the file, map it, and lay its regions out.
 *
 * Depends on: heap_file.h, settings.h. Threads: the constructor's, or a forked child's only one.
 */
#ifndef CPROF_HEAP_SHIM_HEAP_MAP_H
#define CPROF_HEAP_SHIM_HEAP_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "settings.h"

struct heap_map {
	struct heap_header *header;
	uint8_t *base;
	uint64_t bytes;
	bool populated; /* all of it: nothing has to grow */
	char path[HEAP_PATH_BYTES];
};

/**
 * Make the file of this process. Settings that do not fit in the process' limits (address space,
 * file size) are lowered until they do.
 *
 * @exe: path of the running program
 * Return: false when there is no place for a file, or none of a useful size.
 * Context: opens and closes a descriptor; no allocation.
 */
bool heap_map_create(struct heap_map *map, struct settings *settings, const char *exe);

/** Unmap the file and remove it: nothing could be recorded. */
void heap_map_destroy(struct heap_map *map);

static inline void *heap_map_at(const struct heap_map *map, const struct heap_region *region)
{
	return map->base + region->off;
}

#endif
