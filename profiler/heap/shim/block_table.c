#include "block_table.h"

#include "linear_hash.h"

enum {
	FIRST_BUCKETS = 64,
	SMALL_TABLE = 256,
	/* a chain is rarely longer than 8: more is a ring that the target has made by a stray write
	 */
	MAX_CHAIN = 4096,
};

uint64_t block_table_heads_bytes(uint32_t max_blocks)
{
	return (uint64_t)max_blocks * sizeof(uint32_t);
}

void block_table_init(struct block_table *table, struct heap_header *header, void *blocks,
		      void *heads, bool populated)
{
	table->header = header;
	table->entries_per_shard = header->max_blocks / HEAP_SHARDS;
	const uint64_t shard_bytes = (uint64_t)table->entries_per_shard * sizeof(struct heap_block);
	for (uint32_t i = 0; i < HEAP_SHARDS; i++) {
		struct block_shard *shard = &table->shards[i];
		*shard = (struct block_shard){
			.n_buckets = FIRST_BUCKETS,
			.heads = (uint32_t *)heads + (uint64_t)i * table->entries_per_shard,
		};
		region_init(&shard->entries, (uint8_t *)blocks + i * shard_bytes, shard_bytes,
			    populated);
	}
}

static inline uint64_t hash_of(uint64_t address)
{
	return address * UINT64_C(0x9e3779b97f4a7c15);
}

static inline struct block_shard *shard_of(struct block_table *table, uint64_t hash)
{
	_Static_assert(HEAP_SHARDS == 32, "five bits");
	return &table->shards[hash >> 59];
}

static inline uint32_t *bucket_of(const struct block_shard *shard, uint64_t hash)
{
	return &shard->heads[linear_hash_bucket((uint32_t)(hash >> 27), shard->n_buckets)];
}

static inline struct heap_block *entries_of(const struct block_shard *shard)
{
	return (struct heap_block *)(void *)shard->entries.base;
}

/* Cut the entry with @address out of its chain. Return: its index, 0 = none. */
static inline uint32_t unlink_entry(struct block_shard *shard, uint64_t hash, uint64_t address)
{
	struct heap_block *entries = entries_of(shard);
	uint32_t *link = bucket_of(shard, hash);
	unsigned left = MAX_CHAIN;
	for (uint32_t at = *link; at && left; at = *link, left--) {
		if (entries[at].address == address) {
			*link = entries[at].next;
			return at;
		}
		link = &entries[at].next;
	}
	return 0;
}

static inline struct block block_of(const struct heap_block *entry)
{
	return (struct block){
		.address = entry->address,
		.size = heap_block_size(entry->size_seq),
		.site = entry->site,
		.tid = entry->tid,
		.born = entry->born,
	};
}

static inline void clear_entry(struct block_shard *shard, uint32_t at)
{
	struct heap_block *entry = &entries_of(shard)[at];
	__atomic_store_n(&entry->address, 0, __ATOMIC_RELEASE);
	entry->next = shard->free_entry;
	shard->free_entry = at;
	shard->n_live--;
}

/* One more bucket, when chains are one entry long on average. */
static void add_bucket(struct block_shard *shard, uint32_t max_buckets)
{
	if (shard->n_buckets >= max_buckets)
		return;
	struct heap_block *entries = entries_of(shard);
	const uint32_t added = shard->n_buckets;
	uint32_t *stay = &shard->heads[linear_hash_parent(added)];
	uint32_t *move = &shard->heads[added];
	unsigned left = MAX_CHAIN;
	shard->n_buckets++;
	for (uint32_t at = *stay; at && left; at = *stay, left--) {
		if (bucket_of(shard, hash_of(entries[at].address)) == move) {
			*stay = entries[at].next;
			entries[at].next = *move;
			*move = at;
		} else {
			stay = &entries[at].next;
		}
	}
	/* of the next one to be split, which in a large table is in no cache */
	__builtin_prefetch(&entries[shard->heads[linear_hash_parent(added + 1)]]);
}

/* Return: an unused entry, or 0 with *why. */
static uint32_t take_entry(struct block_table *table, struct block_shard *shard,
			   enum block_status *why)
{
	uint32_t at = shard->free_entry;
	if (at) {
		shard->free_entry = entries_of(shard)[at].next;
		return at;
	}
	uint32_t *used = &table->header->entries_used[shard - table->shards];
	at = *used ? *used : 1; /* entry 0 is none: 0 ends chains */
	if (at >= table->entries_per_shard) {
		*why = BLOCK_FULL;
		return 0;
	}
	if (!region_need(&shard->entries, (uint64_t)(at + 1) * sizeof(struct heap_block))) {
		*why = BLOCK_NO_SPACE;
		return 0;
	}
	__atomic_store_n(used, at + 1, __ATOMIC_RELEASE);
	return at;
}

static void fill_entry(struct heap_block *entry, const struct block *block)
{
	const uint64_t uses = (entry->size_seq >> 48) + 1;
	entry->site = block->site;
	entry->tid = block->tid;
	entry->born = block->born;
	__atomic_store_n(&entry->size_seq, uses << 48 | (block->size & ((UINT64_C(1) << 48) - 1)),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&entry->address, block->address, __ATOMIC_RELEASE);
}

void block_table_expect(struct block_table *table, uint64_t address)
{
	const uint64_t hash = hash_of(address);
	const struct block_shard *shard = shard_of(table, hash);
	const uint32_t n = __atomic_load_n(&shard->n_buckets, __ATOMIC_RELAXED);
	/* which lies in the cache while the table is small */
	if (n > SMALL_TABLE)
		__builtin_prefetch(&shard->heads[linear_hash_bucket((uint32_t)(hash >> 27), n)]);
}

enum block_status block_table_insert(struct block_table *table, const struct block *block,
				     struct block *replaced)
{
	const uint64_t hash = hash_of(block->address);
	struct block_shard *shard = shard_of(table, hash);
	enum block_status status = BLOCK_OK;
	if (!spin_take(&shard->lock))
		return BLOCK_LOCKED;
	const uint32_t old = unlink_entry(shard, hash, block->address);
	if (__builtin_expect(old != 0, 0)) {
		*replaced = block_of(&entries_of(shard)[old]);
		clear_entry(shard, old);
		status = BLOCK_REPLACED;
	}
	const uint32_t at = take_entry(table, shard, &status);
	if (__builtin_expect(at != 0, 1)) {
		struct heap_block *entry = &entries_of(shard)[at];
		uint32_t *head = bucket_of(shard, hash);
		entry->next = *head;
		*head = at;
		fill_entry(entry, block);
		if (++shard->n_live > shard->n_buckets)
			add_bucket(shard, table->entries_per_shard);
	}
	spin_release(&shard->lock);
	return status;
}

enum block_status block_table_remove(struct block_table *table, uint64_t address, struct block *out)
{
	const uint64_t hash = hash_of(address);
	struct block_shard *shard = shard_of(table, hash);
	if (!spin_take(&shard->lock))
		return BLOCK_LOCKED;
	const uint32_t at = unlink_entry(shard, hash, address);
	if (at) {
		*out = block_of(&entries_of(shard)[at]);
		clear_entry(shard, at);
	}
	spin_release(&shard->lock);
	return at ? BLOCK_OK : BLOCK_UNKNOWN;
}
