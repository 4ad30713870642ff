#include "node_table.h"

#include "attributes.h"
#include "linear_hash.h"

enum {
	FIRST_BUCKETS = 1024,
	/* a chain is rarely longer than 8: more is a table that the target has overwritten */
	MAX_CHAIN = 4096,
};

uint64_t node_table_heads_bytes(uint32_t max_nodes)
{
	const uint32_t n = max_nodes > FIRST_BUCKETS ? max_nodes : FIRST_BUCKETS;
	return (uint64_t)n * sizeof(uint32_t);
}

bool node_table_init(struct node_table *table, struct heap_header *header,
		     struct module_table *modules, void *nodes, void *sites, void *heads,
		     bool populated)
{
	*table = (struct node_table){
		.header = header,
		.modules = modules,
		.n_buckets = FIRST_BUCKETS,
		.heads = heads,
	};
	region_init(&table->nodes, nodes, (uint64_t)header->max_nodes * sizeof(struct heap_node),
		    populated);
	region_init(&table->sites, sites, (uint64_t)header->max_sites * sizeof(struct heap_site),
		    populated);
	if (!region_need(&table->nodes, sizeof(struct heap_node)) ||
	    !region_need(&table->sites, sizeof(struct heap_site)))
		return false;
	header->n_nodes = 1;
	header->n_sites = 1;
	return true;
}

static inline uint32_t hash_of(uint64_t address, uint32_t parent)
{
	const uint64_t mixed =
		(address ^ (uint64_t)parent << 40 ^ parent) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(mixed >> 32);
}

static inline struct heap_node *nodes_of(const struct node_table *table)
{
	return (struct heap_node *)(void *)table->nodes.base;
}

static uint32_t find(const struct node_table *table, const struct node_key *key, uint32_t hash)
{
	const struct heap_node *nodes = nodes_of(table);
	const uint32_t n_buckets = __atomic_load_n(&table->n_buckets, __ATOMIC_ACQUIRE);
	uint32_t at = __atomic_load_n(&table->heads[linear_hash_bucket(hash, n_buckets)],
				      __ATOMIC_ACQUIRE);
	for (unsigned i = 0; at && i < MAX_CHAIN; i++) {
		const struct heap_node *node = &nodes[at];
		if (node->address == key->address && node->parent == key->parent &&
		    node->flags == key->flags && !module_is_dead(table->modules, node->module))
			return at;
		at = __atomic_load_n(&node->next, __ATOMIC_ACQUIRE);
	}
	return NODE_NONE;
}

static void add_bucket(struct node_table *table)
{
	if (table->n_buckets >= table->header->max_nodes)
		return;
	struct heap_node *nodes = nodes_of(table);
	const uint32_t added = table->n_buckets;
	uint32_t *stay = &table->heads[linear_hash_parent(added)];
	uint32_t *move = &table->heads[added];
	for (uint32_t at = *stay; at; at = *stay) {
		struct heap_node *node = &nodes[at];
		if (linear_hash_bucket(hash_of(node->address, node->parent), added + 1) == added) {
			__atomic_store_n(stay, node->next, __ATOMIC_RELEASE);
			__atomic_store_n(&node->next, *move, __ATOMIC_RELEASE);
			__atomic_store_n(move, at, __ATOMIC_RELEASE);
		} else {
			stay = &node->next;
		}
	}
	__atomic_store_n(&table->n_buckets, added + 1, __ATOMIC_RELEASE);
}

/* With the lock held: another thread may have added it meanwhile. */
static uint32_t add(struct node_table *table, const struct node_key *key, uint32_t hash)
{
	/* first: a module that has come back brings its nodes along */
	const uint16_t module = module_table_find(table->modules, key->address);
	const uint32_t known = find(table, key, hash);
	if (known != NODE_NONE)
		return known;
	struct heap_header *header = table->header;
	const uint32_t at = header->n_nodes;
	if (at >= header->max_nodes)
		return NODE_NONE;
	if (!region_need(&table->nodes, (uint64_t)(at + 1) * sizeof(struct heap_node)))
		return NODE_NO_SPACE;
	uint32_t *head = &table->heads[linear_hash_bucket(hash, table->n_buckets)];
	nodes_of(table)[at] = (struct heap_node){
		.address = key->address,
		.parent = key->parent,
		.next = *head,
		.module = module,
		.flags = key->flags,
	};
	__atomic_store_n(&header->n_nodes, at + 1, __ATOMIC_RELEASE);
	__atomic_store_n(head, at, __ATOMIC_RELEASE);
	if (at > table->n_buckets)
		add_bucket(table);
	return at;
}

uint32_t node_table_intern(struct node_table *table, const struct node_key *key)
{
	const uint32_t hash = hash_of(key->address, key->parent);
	uint32_t at = find(table, key, hash);
	if (__builtin_expect(at != NODE_NONE, 1))
		return at;
	/* a full table does not split chains, so that nothing was missed: no lock for every event
	 */
	if (__atomic_load_n(&table->header->n_nodes, __ATOMIC_ACQUIRE) >= table->header->max_nodes)
		return NODE_NONE;
	if (!spin_take(&table->lock))
		return NODE_LOCKED;
	at = add(table, key, hash);
	spin_release(&table->lock);
	return at;
}

SHIM_ASIDE uint32_t node_table_add_site(struct node_table *table, uint32_t node)
{
	struct heap_header *header = table->header;
	struct heap_site *sites = (struct heap_site *)(void *)table->sites.base;
	if (__atomic_load_n(&header->n_sites, __ATOMIC_ACQUIRE) >= header->max_sites)
		return SITE_NONE;
	if (!spin_take(&table->lock))
		return NODE_LOCKED;
	uint32_t *of_node = &nodes_of(table)[node].site;
	uint32_t site = *of_node;
	const bool wanted = !site && header->n_sites < header->max_sites;
	if (wanted &&
	    !region_need(&table->sites, (uint64_t)(header->n_sites + 1) * sizeof(*sites))) {
		site = NODE_NO_SPACE;
	} else if (wanted) {
		site = header->n_sites;
		sites[site] = (struct heap_site){.node = node};
		__atomic_store_n(&header->n_sites, site + 1, __ATOMIC_RELEASE);
		__atomic_store_n(of_node, site, __ATOMIC_RELEASE);
	}
	spin_release(&table->lock);
	return site;
}
