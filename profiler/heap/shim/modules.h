/*
 * modules.h - the file's table of loaded objects.
 *
 * An object is entered when a stack first passes through it, with what identifies it on disk (path,
 * build-id from the notes in memory). When it is unloaded it is dead: another object at the same
 * addresses is another module. The same one (build-id, path) at the same addresses again is not.
 *
 * Depends on: heap_file.h, code.h, region.h. Threads: adding under the node table's lock;
 * module_is_dead() at any time.
 */
#ifndef CPROF_HEAP_SHIM_MODULES_H
#define CPROF_HEAP_SHIM_MODULES_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "region.h"

struct module_table {
	struct heap_header *header;
	struct region modules;
	uint32_t last; /* the module found last */
	uint8_t dead[UINT16_MAX + 1];
};

static inline bool module_is_dead(const struct module_table *table, uint16_t module)
{
	return __atomic_load_n(&table->dead[module], __ATOMIC_RELAXED) != 0;
}

/** @header: max_modules is set; n_modules is kept. Return: false when there is no room at all. */
bool module_table_init(struct module_table *table, struct heap_header *header, void *modules,
		       bool populated);

/** The module an address is in now. Return: its index, 0 = none, or no room for it. */
uint16_t module_table_find(struct module_table *table, uint64_t address);

/** Mark those that are no longer loaded, and begin another epoch if there are. Return: how many. */
unsigned module_table_bury(struct module_table *table);

#endif
