#include "block_table.h"

#include <stddef.h>

#include "attributes.h"

enum {
	/* blocks to a bucket on average, when the index has grown to fit */
	LOAD = 4,
	FIRST_BUCKETS = 64,
	/* for so many buckets a second line: in the middle of a doubling one of 11 has one */
	MORE_LINES = 4,
	MAX_SPLITS = 2 * BLOCK_CACHE_BATCH / LOAD, /* at once: they lie in a row */
	/* lines of a bucket, rarely more than 2: a ring is what the target made by a stray write */
	MAX_CHAIN = 4096,
};

static uint32_t max_buckets_of(uint32_t max_blocks)
{
	return max_blocks / LOAD > FIRST_BUCKETS ? max_blocks / LOAD : FIRST_BUCKETS;
}

uint64_t block_table_private_bytes(uint32_t max_blocks)
{
	const uint64_t buckets = max_buckets_of(max_blocks);
	return (buckets + buckets / MORE_LINES) * sizeof(struct block_line) +
	       (uint64_t)max_blocks * sizeof(uint32_t);
}

void block_table_init(struct block_table *table, struct heap_header *header, void *blocks,
		      void *memory, bool populated)
{
	*table = (struct block_table){
		.header = header,
		.entries = blocks,
		.lines = memory,
		.shape = linear_hash_shape(FIRST_BUCKETS),
		.max_buckets = max_buckets_of(header->max_blocks),
		.max_more = max_buckets_of(header->max_blocks) / MORE_LINES,
	};
	table->pool.free =
		(uint32_t *)(void *)(table->lines + table->max_buckets + table->max_more);
	const uint64_t part_bytes =
		(uint64_t)header->max_blocks / HEAP_SHARDS * sizeof(struct heap_block);
	for (uint32_t i = 0; i < HEAP_SHARDS; i++)
		region_init(&table->pool.parts[i], (uint8_t *)blocks + i * part_bytes, part_bytes,
			    populated);
}

/* --- the pool of entries --- */

/* How many unused entries follow @used ones in a part, of those that are wanted. */
static uint32_t make_room(struct region *part, uint32_t used, uint32_t end)
{
	const uint64_t bytes = sizeof(struct heap_block);
	if (region_need(part, end * bytes))
		return end - used;
	const uint64_t ready = part->ready / bytes;
	return ready > used ? (uint32_t)ready - used : 0;
}

/* Entries that were never in use, the lowest on top. */
static enum block_status take_new(struct block_table *table, struct block_cache *cache)
{
	struct block_pool *pool = &table->pool;
	const uint32_t per_part = table->header->max_blocks / HEAP_SHARDS;
	uint32_t *used_parts = table->header->entries_used;
	while (used_parts[pool->part] >= per_part) {
		if (pool->part == HEAP_SHARDS - 1)
			return BLOCK_FULL;
		pool->part++;
	}
	const uint32_t used = used_parts[pool->part];
	uint32_t end = per_part - used > BLOCK_CACHE_BATCH ? used + BLOCK_CACHE_BATCH : per_part;
	const uint32_t n = make_room(&pool->parts[pool->part], used, end);
	if (n == 0)
		return BLOCK_NO_SPACE;
	end = used + n;
	__atomic_store_n(&used_parts[pool->part], end, __ATOMIC_RELEASE);
	for (uint32_t i = end; i-- > used;) {
		const uint32_t entry = pool->part * per_part + i;
		/* there is no entry 0: it ends slots and chains */
		if (entry)
			cache->entries[cache->n++] = entry;
	}
	return BLOCK_OK;
}

static enum block_status take_batch(struct block_table *table, struct block_cache *cache)
{
	struct block_pool *pool = &table->pool;
	if (pool->n_free == 0)
		return take_new(table, cache);
	while (pool->n_free && cache->n < BLOCK_CACHE_BATCH)
		cache->entries[cache->n++] = pool->free[--pool->n_free];
	return BLOCK_OK;
}

/* --- lines beyond buckets: with the pool locked --- */

static uint32_t count_unused_lines(const struct block_table *table)
{
	return table->max_more - table->pool.n_lines + table->pool.n_free_lines;
}

/* Return: the number of a line, which is empty. 0 = there is none. */
static uint32_t take_line(struct block_table *table)
{
	struct block_pool *pool = &table->pool;
	if (pool->n_free_lines == 0)
		return pool->n_lines < table->max_more ? table->max_buckets + pool->n_lines++ : 0;
	const uint32_t at = pool->free_line;
	pool->free_line = table->lines[at].next;
	pool->n_free_lines--;
	table->lines[at].next = 0;
	return at;
}

static void give_line(struct block_table *table, uint32_t at)
{
	table->lines[at].next = table->pool.free_line;
	table->pool.free_line = at;
	table->pool.n_free_lines++;
}

/* Where the next block of a bucket goes. */
struct cursor {
	struct block_line *line;
	uint32_t i;
};

static void put_slot(struct block_table *table, struct cursor *cursor, uint64_t slot)
{
	if (cursor->i == BLOCK_LINE_SLOTS) {
		if (!cursor->line->next)
			cursor->line->next = take_line(table);
		*cursor = (struct cursor){&table->lines[cursor->line->next], 0};
	}
	cursor->line->slots[cursor->i++] = slot;
}

/* Lines after the first. */
static uint32_t count_more(const struct block_table *table, const struct block_line *line)
{
	uint32_t n = 0;
	for (; line->next && n < MAX_CHAIN; n++)
		line = &table->lines[line->next];
	return n;
}

/* Give the new bucket what belongs to it. Nobody looks there yet. */
static void split(struct block_table *table, struct block_line *from, uint32_t added)
{
	const uint64_t shape = linear_hash_shape(added + 1);
	struct cursor stay = {from, 0}, move = {&table->lines[added], 0};
	for (struct block_line *line = from;; line = &table->lines[line->next]) {
		for (uint32_t i = 0; i < BLOCK_LINE_SLOTS && line->slots[i]; i++) {
			const uint64_t slot = line->slots[i];
			const bool moves = linear_hash_at((uint32_t)(slot >> 32), shape) == added;
			line->slots[i] = 0;
			put_slot(table, moves ? &move : &stay, slot);
		}
		if (!line->next)
			break;
	}
	uint32_t empty = stay.line->next;
	stay.line->next = 0;
	while (empty) {
		const uint32_t next = table->lines[empty].next;
		give_line(table, empty);
		empty = next;
	}
}

/* A bucket that is in use is split another time. */
static void grow_index(struct block_table *table)
{
	for (unsigned i = 0; i < MAX_SPLITS; i++) {
		const uint32_t added = linear_hash_n(table->shape);
		struct block_line *from = &table->lines[linear_hash_parent(added)];
		if (added >= table->max_buckets || (uint64_t)added * LOAD >= table->pool.n_out ||
		    !spin_try(&from->lock))
			return;
		const bool can = count_more(table, from) <= count_unused_lines(table);
		if (can) {
			split(table, from, added);
			__atomic_store_n(&table->shape, linear_hash_shape(added + 1),
					 __ATOMIC_RELEASE);
		}
		spin_release(&from->lock);
		if (!can)
			return;
	}
}

static SHIM_ASIDE enum block_status fill_cache(struct block_table *table, struct block_cache *cache)
{
	if (!spin_take(&table->pool.lock))
		return BLOCK_LOCKED;
	const uint32_t before = cache->n;
	const enum block_status status = take_batch(table, cache);
	table->pool.n_out += cache->n - before;
	grow_index(table);
	spin_release(&table->pool.lock);
	return cache->n ? BLOCK_OK : status;
}

/* The older half; those freed last are in the CPU's cache. Where the lock is held, they are lost:
 * entries that nobody uses. */
static SHIM_ASIDE void empty_cache(struct block_table *table, struct block_cache *cache)
{
	struct block_pool *pool = &table->pool;
	if (spin_take(&pool->lock)) {
		for (uint32_t i = 0; i < BLOCK_CACHE_BATCH; i++)
			pool->free[pool->n_free++] = cache->entries[i];
		pool->n_out -= BLOCK_CACHE_BATCH;
		spin_release(&pool->lock);
	}
	cache->n -= BLOCK_CACHE_BATCH;
	for (uint32_t i = 0; i < cache->n; i++)
		cache->entries[i] = cache->entries[i + BLOCK_CACHE_BATCH];
}

static inline void give_entry(struct block_table *table, struct block_cache *cache, uint32_t at)
{
	if (__builtin_expect(cache->n == BLOCK_CACHE_ENTRIES, 0))
		empty_cache(table, cache);
	cache->entries[cache->n++] = at;
}

/* --- buckets --- */

/* The bucket of a hash, locked; NULL when its lock was held for too long. */
static inline struct block_line *lock_bucket(struct block_table *table, uint32_t hash)
{
	for (;;) {
		const uint64_t shape = __atomic_load_n(&table->shape, __ATOMIC_ACQUIRE);
		const uint32_t at = linear_hash_at(hash, shape);
		struct block_line *bucket = &table->lines[at];
		if (!spin_take(&bucket->lock))
			return NULL;
		/* it may have been split meanwhile */
		const uint64_t now = __atomic_load_n(&table->shape, __ATOMIC_ACQUIRE);
		if (__builtin_expect(now == shape || linear_hash_at(hash, now) == at, 1))
			return bucket;
		spin_release(&bucket->lock);
	}
}

/*
 * Where a block is, or where it can go. Return: a slot, which is 0 where the block is not there;
 * NULL when it is not, nor is there room. *line is the slot's, or the last one.
 */
static inline uint64_t *find_slot(const struct block_table *table, struct block_line **line,
				  uint32_t hash, uint64_t address)
{
	for (unsigned left = MAX_CHAIN;; left--) {
		uint64_t *slots = (*line)->slots;
		for (uint32_t i = 0; i < BLOCK_LINE_SLOTS; i++) {
			const uint64_t slot = slots[i];
			if (slot == 0 || (slot >> 32 == hash &&
					  table->entries[(uint32_t)slot].address == address))
				return &slots[i];
		}
		if (__builtin_expect(!(*line)->next || !left, 1))
			return NULL;
		*line = &table->lines[(*line)->next];
	}
}

/* The last line of a bucket has nothing in it any more. */
static SHIM_ASIDE void drop_line(struct block_table *table, struct block_line *before)
{
	const uint32_t empty = before->next;
	before->next = 0;
	/* else it is lost: a line that nobody uses */
	if (spin_take(&table->pool.lock)) {
		give_line(table, empty);
		spin_release(&table->pool.lock);
	}
}

/* The bucket's last block takes the place of one that is gone. */
static inline void clear_slot(struct block_table *table, struct block_line *bucket,
			      struct block_line *line, uint64_t *slot)
{
	struct block_line *before = bucket;
	uint64_t *last = slot;
	if (__builtin_expect(bucket->next != 0, 0)) {
		while (line->next)
			line = &table->lines[line->next];
		while (before != line && &table->lines[before->next] != line)
			before = &table->lines[before->next];
		last = slot >= line->slots && slot < line->slots + BLOCK_LINE_SLOTS ? slot
										    : line->slots;
	}
	while (last + 1 < line->slots + BLOCK_LINE_SLOTS && last[1])
		last++;
	*slot = *last;
	*last = 0;
	if (__builtin_expect(before != line && last == line->slots, 0))
		drop_line(table, before);
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

static inline void fill_entry(struct heap_block *entry, const struct block *block)
{
	const uint64_t uses = (entry->size_seq >> 48) + 1;
	entry->site = block->site;
	entry->tid = block->tid;
	entry->born = block->born;
	__atomic_store_n(&entry->size_seq, uses << 48 | (block->size & ((UINT64_C(1) << 48) - 1)),
			 __ATOMIC_RELAXED);
	__atomic_store_n(&entry->address, block->address, __ATOMIC_RELEASE);
}

/* A slot in another line after the last one. */
static SHIM_ASIDE enum block_status add_line(struct block_table *table, struct block_line *last,
					     uint64_t **slot)
{
	if (!spin_take(&table->pool.lock))
		return BLOCK_LOCKED;
	last->next = take_line(table);
	spin_release(&table->pool.lock);
	if (!last->next)
		return BLOCK_FULL;
	*slot = table->lines[last->next].slots;
	return BLOCK_OK;
}

static enum block_status add_block(struct block_table *table, struct block_cache *cache,
				   struct block_line *last, uint64_t *slot, uint32_t hash,
				   const struct block *block)
{
	if (__builtin_expect(!slot, 0)) {
		const enum block_status status = add_line(table, last, &slot);
		if (status != BLOCK_OK)
			return status;
	}
	const uint32_t at = cache->entries[--cache->n];
	fill_entry(&table->entries[at], block);
	*slot = (uint64_t)hash << 32 | at;
	return BLOCK_OK;
}

enum block_status block_table_insert(struct block_table *table, struct block_cache *cache,
				     const struct block *block, struct block *replaced)
{
	const uint32_t hash = block_hash(block->address);
	enum block_status status = BLOCK_OK;
	if (__builtin_expect(cache->n == 0, 0))
		status = fill_cache(table, cache);
	struct block_line *bucket = lock_bucket(table, hash), *line = bucket;
	if (!bucket)
		return BLOCK_LOCKED;
	uint64_t *slot = find_slot(table, &line, hash, block->address);
	if (__builtin_expect(slot && *slot, 0)) {
		struct heap_block *entry = &table->entries[(uint32_t)*slot];
		*replaced = block_of(entry);
		__atomic_store_n(&entry->address, 0, __ATOMIC_RELEASE);
		fill_entry(entry, block);
		status = BLOCK_REPLACED;
	} else if (__builtin_expect(cache->n != 0, 1)) {
		status = add_block(table, cache, line, slot, hash, block);
	}
	spin_release(&bucket->lock);
	return status;
}

enum block_status block_table_remove(struct block_table *table, struct block_cache *cache,
				     uint64_t address, struct block *out)
{
	const uint32_t hash = block_hash(address);
	struct block_line *bucket = lock_bucket(table, hash), *line = bucket;
	if (!bucket)
		return BLOCK_LOCKED;
	uint64_t *slot = find_slot(table, &line, hash, address);
	const uint32_t at = slot ? (uint32_t)*slot : 0;
	if (at) {
		struct heap_block *entry = &table->entries[at];
		*out = block_of(entry);
		__atomic_store_n(&entry->address, 0, __ATOMIC_RELEASE);
		clear_slot(table, bucket, line, slot);
	}
	spin_release(&bucket->lock);
	if (!at)
		return BLOCK_UNKNOWN;
	give_entry(table, cache, at);
	return BLOCK_OK;
}
