/*
 * node_table.h - stacks as nodes of a prefix tree, and the sites that some of them are.
 *
 * Look-ups take no lock: a node never changes once it is in a chain, but for its link, which can
 * only make a look-up miss (the chain was being split). A miss is looked up again under the lock
 * before anything is added.
 *
 * A node of a module that was unloaded is not found, unless that very module has come back: the
 * same address is other code then.
 *
 * Depends on: heap_file.h, modules.h, region.h, spin.h. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_NODE_TABLE_H
#define CPROF_HEAP_SHIM_NODE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "modules.h"
#include "region.h"
#include "spin.h"

struct node_table {
	struct heap_header *header;
	struct module_table *modules;
	struct spin lock;
	uint32_t n_buckets;
	uint32_t *heads; /* private */
	struct region nodes, sites;
};

/* A frame, seen from its caller's node. */
struct node_key {
	uint64_t address;
	uint32_t parent;
	uint16_t flags;
};

/*
 * What node_table_intern() and node_table_site() give instead: the table is full, the file cannot
 * grow, or a lock was held for too long. Index 0 is the root, respectively no site.
 */
enum node_failure {
	NODE_NONE = 0,
	SITE_NONE = 0,
	NODE_NO_SPACE = INT32_MAX - 1,
	NODE_LOCKED = INT32_MAX,
};

/** Whether a node or a site is one. */
static inline bool node_is(uint32_t index)
{
	return __builtin_expect(index - 1 < NODE_NO_SPACE - 1, 1);
}

uint64_t node_table_heads_bytes(uint32_t max_nodes);

/**
 * @header: max_nodes and max_sites are set; n_nodes and n_sites are kept
 * @heads:  node_table_heads_bytes() of zeros
 * Return: false when the file system has no room for the first nodes.
 */
bool node_table_init(struct node_table *table, struct heap_header *header,
		     struct module_table *modules, void *nodes, void *sites, void *heads,
		     bool populated);

/** Find or add a node. Return: its index, or enum node_failure. */
uint32_t node_table_intern(struct node_table *table, const struct node_key *key);

/** The slow part of node_table_site(). */
uint32_t node_table_add_site(struct node_table *table, uint32_t node);

/** The site of a node, made if there is none. Return: its index, or enum node_failure. */
static inline uint32_t node_table_site(struct node_table *table, uint32_t node)
{
	struct heap_node *nodes = (struct heap_node *)(void *)table->nodes.base;
	const uint32_t site = __atomic_load_n(&nodes[node].site, __ATOMIC_ACQUIRE);
	return __builtin_expect(site != SITE_NONE, 1) ? site : node_table_add_site(table, node);
}

#endif
