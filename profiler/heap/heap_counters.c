/*
 * heap_counters.c - the totals per stack, summed up over the threads that keep them.
 */
#include "base/cleanup.h"
#include "heap_tables.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 18, PEAK_RETRIES = 5 };

/* Sums of weights in their unit, before they are rounded once. */
struct sums {
	struct heap_site_sum *sites; /* [n] */
	uint32_t n;
	uint64_t peak_epoch;
};

static void add_counter(struct sums *sums, uint32_t site, const struct heap_counter *counter)
{
	struct heap_site_sum *sum = &sums->sites[site];
	const bool unchanged = counter->epoch != sums->peak_epoch;
	sum->allocs += counter->allocs;
	sum->alloc_bytes += counter->alloc_bytes;
	sum->frees += counter->frees;
	sum->free_bytes += counter->free_bytes;
	sum->temporary += counter->temporary;
	/* as unsigned: a damaged file must not overflow anything */
	const uint64_t blocks =
		unchanged ? counter->allocs - counter->frees : (uint64_t)counter->peak_blocks;
	const uint64_t bytes = unchanged ? counter->alloc_bytes - counter->free_bytes
					 : (uint64_t)counter->peak_bytes;
	sum->peak_blocks = (int64_t)((uint64_t)sum->peak_blocks + blocks);
	sum->peak_bytes = (int64_t)((uint64_t)sum->peak_bytes + bytes);
}

static void add_sampled(struct sums *sums, uint32_t site,
			const struct heap_counter_sampled *counter)
{
	struct heap_site_sum *sum = &sums->sites[site];
	add_counter(sums, site, &counter->weighted);
	sum->raw_allocs += counter->raw_allocs;
	sum->raw_frees += counter->raw_frees;
	sum->alloc_blocks_variance += counter->alloc_blocks_variance;
	sum->alloc_bytes_variance += counter->alloc_bytes_variance;
}

static void add_lines(struct sums *sums, uint32_t first, uint32_t n, const uint8_t *lines,
		      size_t stride)
{
	for (uint32_t i = 0; i < n; i++) {
		if (stride == sizeof(struct heap_counter_sampled))
			add_sampled(sums, first + i, (const void *)(lines + i * stride));
		else
			add_counter(sums, first + i, (const void *)(lines + i * stride));
	}
}

static int add_replica(const struct heap_source *source, const struct heap_header *header,
		       uint32_t replica, struct sums *sums, uint8_t *buffer)
{
	const size_t stride = header->counter_bytes;
	const uint64_t start =
		header->counters.off + (uint64_t)replica * header->max_sites * stride;
	const uint32_t per_chunk = (uint32_t)(CHUNK_BYTES / stride);
	for (uint32_t at = 0; at < sums->n; at += per_chunk) {
		const uint32_t n = sums->n - at < per_chunk ? sums->n - at : per_chunk;
		const int rc =
			elf_source_read(&source->file, start + at * stride, buffer, n * stride);
		if (rc)
			return rc;
		add_lines(sums, at, n, buffer, stride);
	}
	return 0;
}

static void clear(struct heap_site_sum *sites, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sites[i] = (struct heap_site_sum){.node = sites[i].node};
}

static int add_replicas(const struct heap_source *source, const struct heap_header *header,
			const struct heap_replica *replicas, struct sums *sums)
{
	CP_CLEANUP(cp_free) uint8_t *buffer = malloc(CHUNK_BYTES);
	if (!buffer)
		return cp_fail_nomem(source->file.err);
	clear(sums->sites, sums->n);
	int rc = 0;
	for (uint32_t i = 0; i < header->n_replicas && !rc; i++)
		if (replicas[i].owner_tid || replicas[i].n_owners)
			rc = add_replica(source, header, i, sums, buffer);
	return rc;
}

static uint64_t unit(uint64_t weight, uint64_t sample_bytes)
{
	return sample_bytes ? weight / HEAP_WEIGHT_ONE +
				      (weight % HEAP_WEIGHT_ONE >= HEAP_WEIGHT_ONE / 2)
			    : weight;
}

/* Numbers of blocks are kept in parts of one: see heap_counter_sampled. */
static void scale(struct heap_snapshot *snapshot)
{
	const uint64_t sample_bytes = snapshot->header.sample_bytes;
	for (uint32_t i = 0; i < snapshot->header.n_sites; i++) {
		struct heap_site_sum *sum = &snapshot->sites[i];
		sum->allocs = unit(sum->allocs, sample_bytes);
		sum->frees = unit(sum->frees, sample_bytes);
		sum->temporary = unit(sum->temporary, sample_bytes);
		if (sum->peak_blocks > 0)
			sum->peak_blocks = (int64_t)unit((uint64_t)sum->peak_blocks, sample_bytes);
	}
	for (size_t i = 0; i < HEAP_SIZE_CLASSES; i++)
		snapshot->size_allocs[i] = unit(snapshot->size_allocs[i], sample_bytes);
}

static void add_sizes(struct heap_snapshot *snapshot, const struct heap_replica *replica)
{
	snapshot->reallocs += replica->reallocs;
	for (size_t i = 0; i < HEAP_SIZE_CLASSES; i++) {
		snapshot->size_allocs[i] += replica->size_allocs[i];
		snapshot->size_bytes[i] += replica->size_bytes[i];
	}
}

static int check_variances(const struct heap_source *source, const struct heap_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->header.n_sites; i++) {
		const struct heap_site_sum *sum = &snapshot->sites[i];
		if (!isfinite(sum->alloc_blocks_variance) || sum->alloc_blocks_variance < 0 ||
		    !isfinite(sum->alloc_bytes_variance) || sum->alloc_bytes_variance < 0)
			return heap_damaged(source, "site %u has an impossible variance", i);
	}
	return 0;
}

int heap_read_counters(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	struct heap_header *header = &snapshot->header;
	struct sums sums = {.sites = snapshot->sites, .n = header->n_sites};
	CP_CLEANUP(cp_free)
	struct heap_replica *replicas = calloc(header->n_replicas, sizeof(*replicas));
	if (!replicas)
		return cp_fail_nomem(source->file.err);
	int rc = elf_source_read(&source->file, header->replicas.off, replicas,
				 header->n_replicas * sizeof(*replicas));
	/* what was live at the peak is told by its number: it must be the same all the while */
	for (unsigned i = 0; i < PEAK_RETRIES && !rc; i++) {
		struct heap_header after = {0};
		sums.peak_epoch = header->peak_epoch;
		rc = add_replicas(source, header, replicas, &sums);
		if (!rc)
			rc = heap_read_header(source, &after);
		snapshot->peak_moved = !rc && after.peak_epoch != header->peak_epoch;
		if (rc || !snapshot->peak_moved)
			break;
		after.n_sites = header->n_sites;
		*header = after;
	}
	for (uint32_t i = 0; i < header->n_replicas && !rc; i++)
		add_sizes(snapshot, &replicas[i]);
	if (!rc)
		rc = check_variances(source, snapshot);
	if (!rc)
		scale(snapshot);
	return rc;
}
