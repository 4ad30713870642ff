#include "counters.h"

#include "attributes.h"

bool counters_init(struct counters *counters, struct heap_header *header, void *replicas,
		   void *lines, bool populated)
{
	*counters = (struct counters){
		.header = header,
		.replicas = replicas,
		.line_shift = (uint32_t)__builtin_ctz(header->counter_bytes),
	};
	const uint64_t lines_bytes = (uint64_t)header->max_sites * header->counter_bytes;
	for (uint32_t i = 0; i < header->n_replicas; i++)
		region_init(&counters->lines[i], (uint8_t *)lines + i * lines_bytes, lines_bytes,
			    populated);
	const uint64_t table_bytes = header->n_replicas * sizeof(struct heap_replica);
	struct region table;
	region_init(&table, replicas, (table_bytes + 4095) & ~UINT64_C(4095), populated);
	if (!region_need(&table, table_bytes))
		return false;
	counters->replicas[header->n_replicas - 1].owner_tid = UINT32_MAX;
	return true;
}

static void raise_to(uint32_t *most, uint32_t value)
{
	uint32_t old = __atomic_load_n(most, __ATOMIC_RELAXED);
	while (old < value && !__atomic_compare_exchange_n(most, &old, value, true,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint32_t counters_claim(struct counters *counters, uint32_t tid)
{
	struct heap_header *header = counters->header;
	const uint32_t shared = header->n_replicas - 1;
	__atomic_fetch_add(&counters->n_claims, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < shared; i++) {
		uint32_t nobody = 0;
		if (!__atomic_compare_exchange_n(&counters->replicas[i].owner_tid, &nobody, tid,
						 false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		counters->replicas[i].n_owners++;
		raise_to(&header->max_threads,
			 __atomic_add_fetch(&counters->n_held, 1, __ATOMIC_RELAXED));
		return i;
	}
	__atomic_fetch_add(&counters->replicas[shared].n_owners, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&header->threads_beyond_replicas, 1, __ATOMIC_RELAXED);
	return shared;
}

void counters_release(struct counters *counters, uint32_t replica)
{
	if (counters_is_shared(counters, replica))
		return;
	uint64_t *pending = &counters->replicas[replica].pending_bytes;
	__atomic_fetch_add(&counters->header->live_bytes, *pending, __ATOMIC_RELAXED);
	__atomic_store_n(pending, 0, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&counters->n_held, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&counters->replicas[replica].owner_tid, 0, __ATOMIC_RELEASE);
}

static bool grow_lines(struct counters *counters, uint32_t replica, uint64_t bytes)
{
	struct region *lines = &counters->lines[replica];
	if (!counters_is_shared(counters, replica))
		return region_need(lines, bytes);
	if (!spin_take(&counters->grow_lock))
		return false;
	const bool grown = region_need(lines, bytes);
	spin_release(&counters->grow_lock);
	return grown;
}

SHIM_ASIDE struct heap_counter *counters_grow(struct counters *counters, uint32_t replica,
					      uint32_t site)
{
	const uint64_t at = (uint64_t)site << counters->line_shift;
	if (!grow_lines(counters, replica, at + counters->header->counter_bytes))
		return NULL;
	return (struct heap_counter *)(void *)(counters->lines[replica].base + at);
}

/* Plain for the one owner, but whole for readers; atomic where threads share. */
static inline void add(uint64_t *counter, uint64_t value, bool shared)
{
	if (__builtin_expect(shared, 0))
		__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + value,
				 __ATOMIC_RELAXED);
}

static SHIM_ASIDE void add_double(double *sum, double value)
{
	union {
		double d;
		uint64_t bits;
	} old, new;
	old.bits = __atomic_load_n((uint64_t *)(void *)sum, __ATOMIC_RELAXED);
	do {
		new.d = old.d + value;
	} while (!__atomic_compare_exchange_n((uint64_t *)(void *)sum, &old.bits, new.bits, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

/* Before a change: what is live here is what was live at a peak that has passed since the last. */
static inline void keep_peak(const struct counters *counters, struct heap_counter *counter,
			     bool shared)
{
	const uint64_t now = __atomic_load_n(&counters->header->peak_epoch, __ATOMIC_RELAXED);
	uint64_t seen = __atomic_load_n(&counter->epoch, __ATOMIC_RELAXED);
	if (__builtin_expect(seen == now, 1))
		return;
	const uint64_t blocks = __atomic_load_n(&counter->allocs, __ATOMIC_RELAXED) -
				__atomic_load_n(&counter->frees, __ATOMIC_RELAXED);
	const uint64_t bytes = __atomic_load_n(&counter->alloc_bytes, __ATOMIC_RELAXED) -
			       __atomic_load_n(&counter->free_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&counter->peak_blocks, (int64_t)blocks, __ATOMIC_RELAXED);
	__atomic_store_n(&counter->peak_bytes, (int64_t)bytes, __ATOMIC_RELAXED);
	if (shared)
		__atomic_compare_exchange_n(&counter->epoch, &seen, now, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED);
	else
		__atomic_store_n(&counter->epoch, now, __ATOMIC_RELEASE);
}

static SHIM_ASIDE void look_at_peak(struct heap_header *header, uint64_t live, uint64_t now_ns)
{
	uint64_t peak = __atomic_load_n(&header->peak_bytes, __ATOMIC_RELAXED);
	do {
		if ((int64_t)live <= (int64_t)peak)
			return;
	} while (!__atomic_compare_exchange_n(&header->peak_bytes, &peak, live, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	__atomic_store_n(&header->peak_monotonic_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&header->peak_epoch, 1, __ATOMIC_RELEASE);
}

/* The header's live bytes when this is the only thread that there ever was: exact, and cheap. */
static inline void fold_alone(struct heap_header *header, uint64_t change, uint64_t now_ns)
{
	const uint64_t live = header->live_bytes + change;
	__atomic_store_n(&header->live_bytes, live, __ATOMIC_RELAXED);
	if ((int64_t)live > (int64_t)header->peak_bytes) {
		__atomic_store_n(&header->peak_bytes, live, __ATOMIC_RELAXED);
		__atomic_store_n(&header->peak_monotonic_ns, now_ns, __ATOMIC_RELAXED);
		__atomic_store_n(&header->peak_epoch, header->peak_epoch + 1, __ATOMIC_RELEASE);
	}
}

/* @change: signed. @now_ns: 0 for a decrease, which makes no peak. */
static inline void fold(struct counters *counters, struct heap_replica *replica, uint64_t change,
			uint64_t now_ns, bool shared)
{
	struct heap_header *header = counters->header;
	if (__builtin_expect(spin_single_threaded(), 1)) {
		fold_alone(header, change, now_ns);
		return;
	}
	const bool at_once = __atomic_load_n(&counters->n_claims, __ATOMIC_RELAXED) <= 1;
	add(&replica->pending_bytes, change, shared);
	const int64_t pending = (int64_t)__atomic_load_n(&replica->pending_bytes, __ATOMIC_RELAXED);
	const int64_t limit = at_once ? 1 : (int64_t)header->fold_bytes;
	if (__builtin_expect(pending < limit && pending > -limit, 1))
		return;
	add(&replica->pending_bytes, 0 - (uint64_t)pending, shared);
	const uint64_t live =
		__atomic_add_fetch(&header->live_bytes, (uint64_t)pending, __ATOMIC_RELAXED);
	if (pending > 0)
		look_at_peak(header, live, now_ns);
}

static unsigned class_of(uint64_t size)
{
	const unsigned bits = size ? 64 - (unsigned)__builtin_clzll(size) : 0;
	return bits < HEAP_SIZE_CLASSES ? bits : HEAP_SIZE_CLASSES - 1;
}

static inline void add_alloc(struct counters *counters, uint32_t replica,
			     struct heap_counter *counter, uint64_t blocks, uint64_t bytes,
			     uint64_t size, uint64_t now_ns)
{
	const bool shared = counters_is_shared(counters, replica);
	struct heap_replica *own = &counters->replicas[replica];
	const unsigned class = class_of(size);
	keep_peak(counters, counter, shared);
	add(&counter->allocs, blocks, shared);
	add(&counter->alloc_bytes, bytes, shared);
	add(&own->size_allocs[class], blocks, shared);
	add(&own->size_bytes[class], bytes, shared);
	fold(counters, own, bytes, now_ns, shared);
}

static inline void add_free(struct counters *counters, uint32_t replica,
			    struct heap_counter *counter, uint64_t blocks, uint64_t bytes,
			    bool temporary)
{
	const bool shared = counters_is_shared(counters, replica);
	keep_peak(counters, counter, shared);
	add(&counter->frees, blocks, shared);
	add(&counter->free_bytes, bytes, shared);
	if (temporary)
		add(&counter->temporary, blocks, shared);
	fold(counters, &counters->replicas[replica], 0 - bytes, 0, shared);
}

void counters_add_alloc(struct counters *counters, uint32_t replica, struct heap_counter *counter,
			uint64_t size, uint64_t now_ns)
{
	add_alloc(counters, replica, counter, 1, size, size, now_ns);
}

void counters_add_free(struct counters *counters, uint32_t replica, struct heap_counter *counter,
		       uint64_t size, bool temporary)
{
	add_free(counters, replica, counter, 1, size, temporary);
}

void counters_add_sampled_alloc(struct counters *counters, uint32_t replica,
				struct heap_counter *counter, const struct count *count,
				uint64_t size, uint64_t now_ns)
{
	const bool shared = counters_is_shared(counters, replica);
	struct heap_counter_sampled *sampled = (struct heap_counter_sampled *)counter;
	add_alloc(counters, replica, counter, count->blocks, count->bytes, size, now_ns);
	add(&sampled->raw_allocs, 1, shared);
	add_double(&sampled->alloc_blocks_variance, count->blocks_variance);
	add_double(&sampled->alloc_bytes_variance, count->bytes_variance);
}

void counters_add_sampled_free(struct counters *counters, uint32_t replica,
			       struct heap_counter *counter, const struct count *count,
			       bool temporary)
{
	const bool shared = counters_is_shared(counters, replica);
	add_free(counters, replica, counter, count->blocks, count->bytes, temporary);
	add(&((struct heap_counter_sampled *)counter)->raw_frees, 1, shared);
}
