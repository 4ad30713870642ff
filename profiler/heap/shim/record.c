#include "record.h"

#include "attributes.h"
#include "clock.h"
#include "code.h"
#include "threads.h"

enum { TICK_NS = 10 * 1000 * 1000 };

bool record_unwanted(void)
{
	if (shim_mine->active) {
		shim_count_loss(HEAP_LOSS_REENTERED);
		return false;
	}
	if (SHIM_UNLIKELY(!shim.started))
		return !shim_tls.busy && shim_begin();
	return shim.was_active && shim.follow_forks && !shim_tls.busy && shim_begin_in_child();
}

static void count_free(const struct thread_slot *slot, const struct block *block, bool temporary)
{
	struct heap_counter *counter = counters_at(&shim.counters, slot->replica, block->site);
	const uint64_t every = shim.sample_bytes;
	if (SHIM_UNLIKELY(every))
		sample_filter_remove(&shim.private->filter, block->address);
	if (SHIM_UNLIKELY(!counter)) {
		shim_count_loss(HEAP_LOSS_NO_SPACE);
	} else if (SHIM_LIKELY(!every)) {
		counters_add_free(&shim.counters, slot->replica, counter, block->size, temporary);
	} else {
		struct count count;
		sampler_weigh(block->size, every, &count);
		counters_add_sampled_free(&shim.counters, slot->replica, counter, &count,
					  temporary);
	}
}

static SHIM_ASIDE void lose(enum block_status status)
{
	switch (status) {
	case BLOCK_FULL:
		shim_count_loss(HEAP_LOSS_TABLE_FULL);
		break;
	case BLOCK_NO_SPACE:
		shim_count_loss(HEAP_LOSS_NO_SPACE);
		break;
	default:
		shim_count_loss(HEAP_LOSS_LOCK);
		return;
	}
	__atomic_store_n(&shim.header->frozen, 1, __ATOMIC_RELAXED);
}

static SHIM_ASIDE void count_missed(const struct thread_slot *slot, const struct block *replaced)
{
	shim_count_loss(HEAP_LOSS_MISSED_FREE);
	count_free(slot, replaced, false);
}

static inline bool insert(struct thread_slot *slot, const struct block *block)
{
	struct block replaced;
	const enum block_status status =
		block_table_insert(&shim.blocks, &slot->blocks, block, &replaced);
	if (SHIM_LIKELY(status == BLOCK_OK))
		return true;
	if (status != BLOCK_REPLACED) {
		lose(status);
		return false;
	}
	count_missed(slot, &replaced);
	return true;
}

/* Code was unloaded, and other code may be in its place. */
static SHIM_ASIDE void forget_rules(uint32_t epoch)
{
	rule_cache_clear(&shim.private->rules);
	__atomic_store_n(&shim.rules_epoch, epoch, __ATOMIC_RELEASE);
}

/* The block is kept, at no site. @why: enum node_failure */
static SHIM_ASIDE uint32_t lose_stack(uint32_t why)
{
	shim_count_loss(why == NODE_LOCKED     ? HEAP_LOSS_STACK_LOCK
			: why == NODE_NO_SPACE ? HEAP_LOSS_STACK_NO_SPACE
					       : HEAP_LOSS_SITES_FULL);
	if (why != NODE_LOCKED)
		__atomic_store_n(&shim.header->frozen, 1, __ATOMIC_RELAXED);
	return SITE_NONE;
}

static uint32_t site_of(struct thread_slot *slot, const struct cfi_regs *caller)
{
	const uint32_t epoch = __atomic_load_n(&shim.header->module_epoch, __ATOMIC_ACQUIRE) + 1;
	if (SHIM_UNLIKELY(epoch != __atomic_load_n(&shim.rules_epoch, __ATOMIC_RELAXED)))
		forget_rules(epoch);
	const uint32_t node = stack_walk_node(&slot->walker, &shim.walk, caller, epoch);
	const uint32_t site = node_is(node) ? node_table_site(&shim.nodes, node) : node;
	return node_is(site) ? site : lose_stack(site);
}

static inline void add_block(struct thread_slot *slot, uint64_t address, uint64_t size,
			     const struct cfi_regs *caller)
{
	block_table_expect(&shim.blocks, address);
	const uint64_t now = clock_coarse_ns();
	const struct block block = {
		.address = address,
		.size = size,
		.site = site_of(slot, caller),
		.tid = slot->tid,
		.born = (uint32_t)((now - shim.start_ns) / TICK_NS),
	};
	struct heap_counter *counter = counters_at(&shim.counters, slot->replica, block.site);
	if (!counter) {
		lose(BLOCK_NO_SPACE);
		return;
	}
	if (!insert(slot, &block))
		return;
	if (SHIM_LIKELY(!shim.sample_bytes)) {
		counters_add_alloc(&shim.counters, slot->replica, counter, size, now);
	} else {
		struct count count;
		sampler_weigh(size, shim.sample_bytes, &count);
		sample_filter_add(&shim.private->filter, address);
		counters_add_sampled_alloc(&shim.counters, slot->replica, counter, &count, size,
					   now);
	}
	slot->last_address = address;
}

/* In sampled mode: there is a point in the block, or this thread's first is not drawn yet. */
static SHIM_ASIDE bool is_sampled(uint64_t size)
{
	const uint64_t every = shim.sample_bytes;
	if (!shim_tls.random) {
		const uint32_t thread = __atomic_fetch_add(&shim.n_threads, 1, __ATOMIC_RELAXED);
		shim_tls.random = sampler_seed(shim.seed, thread);
		shim_tls.countdown = (uint64_t)sampler_distance(&shim_tls.random, every);
		if (record_passes(size))
			return false;
	}
	shim_tls.countdown = (uint64_t)sampler_distance(&shim_tls.random, every);
	return true;
}

SHIM_EVENT void record_alloc(const void *block, uint64_t size, const struct cfi_regs *caller)
{
	struct thread_slot *slot = threads_enter();
	if (SHIM_UNLIKELY(!slot)) {
		shim_count_loss(HEAP_LOSS_LOCK);
		return;
	}
	if (!shim.sample_bytes || is_sampled(size))
		add_block(slot, (uint64_t)(uintptr_t)block, size, caller);
	threads_leave(slot);
}

SHIM_EVENT void record_free_of(const void *block)
{
	const uint64_t address = (uint64_t)(uintptr_t)block;
	/* what the real free looks at first, beside what is looked at here */
	__builtin_prefetch((const uint8_t *)block - 16);
	struct thread_slot *slot = threads_enter();
	if (SHIM_UNLIKELY(!slot)) {
		shim_count_loss(HEAP_LOSS_LOCK);
		return;
	}
	struct block old;
	const enum block_status status =
		block_table_remove(&shim.blocks, &slot->blocks, address, &old);
	if (SHIM_LIKELY(status == BLOCK_OK))
		count_free(slot, &old, slot->last_address == address);
	else if (status == BLOCK_UNKNOWN && !shim.sample_bytes)
		shim_count_loss(HEAP_LOSS_UNKNOWN_FREE);
	else if (status == BLOCK_LOCKED)
		shim_count_loss(HEAP_LOSS_LOCK);
	slot->last_address = 0;
	threads_leave(slot);
}

void record_realloc_begin(const void *block, struct record_moved *moved)
{
	const uint64_t address = (uint64_t)(uintptr_t)block;
	moved->block.address = 0;
	if (shim.sample_bytes && !sample_filter_maybe(&shim.private->filter, address))
		return;
	struct thread_slot *slot = threads_enter();
	if (SHIM_UNLIKELY(!slot)) {
		shim_count_loss(HEAP_LOSS_LOCK);
		return;
	}
	const enum block_status status =
		block_table_remove(&shim.blocks, &slot->blocks, address, &moved->block);
	if (status == BLOCK_UNKNOWN && !shim.sample_bytes)
		shim_count_loss(HEAP_LOSS_UNKNOWN_FREE);
	else if (status == BLOCK_LOCKED)
		shim_count_loss(HEAP_LOSS_LOCK);
	if (status != BLOCK_OK)
		moved->block.address = 0;
	threads_leave(slot);
}

void record_realloc_end(const struct record_moved *moved, const void *new_block, bool failed,
			bool sampled, uint64_t size, const struct cfi_regs *caller)
{
	struct thread_slot *slot = threads_enter();
	if (SHIM_UNLIKELY(!slot)) {
		shim_count_loss(HEAP_LOSS_LOCK);
		return;
	}
	if (moved->block.address) {
		if (failed)
			insert(slot, &moved->block);
		else
			count_free(slot, &moved->block, slot->last_address == moved->block.address);
	}
	if (!failed) {
		uint64_t *reallocs = &shim.counters.replicas[slot->replica].reallocs;
		__atomic_fetch_add(reallocs, 1, __ATOMIC_RELAXED);
		slot->last_address = 0;
	}
	if (new_block && (!shim.sample_bytes || (sampled && is_sampled(size))))
		add_block(slot, (uint64_t)(uintptr_t)new_block, size, caller);
	threads_leave(slot);
}

void record_unload(void)
{
	const uint8_t busy = shim_tls.busy;
	shim_tls.busy = 1;
	code_refresh();
	module_table_bury(&shim.modules);
	shim_tls.busy = busy;
}
