#include "heap_pack.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

/* Sampled weights are counted in parts of a block, and a reader rounds to whole ones. */
static uint64_t parts(const struct heap_snapshot *snapshot, uint64_t blocks)
{
	return snapshot->header.sample_bytes ? blocks * HEAP_WEIGHT_ONE : blocks;
}

static struct heap_region place(uint64_t *at, uint64_t page_bytes, uint64_t bytes)
{
	const struct heap_region region = {.off = *at, .max_bytes = bytes};
	*at += (bytes + page_bytes - 1) / page_bytes * page_bytes;
	return region;
}

static int lay_out(const struct heap_snapshot *snapshot, struct heap_header *out)
{
	enum { PAGE = 4096 };
	struct heap_header header = snapshot->header;
	uint64_t at = (sizeof(header) + PAGE - 1) / PAGE * PAGE;
	const size_t per_shard = (snapshot->n_blocks + HEAP_SHARDS - 1) / HEAP_SHARDS;
	if (per_shard > UINT32_MAX / HEAP_SHARDS)
		return -EFBIG;
	if (!header.limit_blocks)
		header.limit_blocks = header.max_blocks;
	header.max_blocks = (uint32_t)per_shard * HEAP_SHARDS;
	header.n_replicas = 1;
	header.modules = place(&at, PAGE, header.n_modules * sizeof(struct heap_module));
	header.nodes = place(&at, PAGE, header.n_nodes * sizeof(struct heap_node));
	header.sites = place(&at, PAGE, header.n_sites * sizeof(struct heap_site));
	header.replicas = place(&at, PAGE, sizeof(struct heap_replica));
	header.counters = place(&at, PAGE, (uint64_t)header.n_sites * header.counter_bytes);
	header.blocks = place(&at, PAGE, header.max_blocks * sizeof(struct heap_block));
	header.index = (struct heap_region){.off = at};
	header.file_bytes = at;
	/* the parts of the table lie one behind the other, and are full but for the last */
	for (size_t i = 0; i < HEAP_SHARDS; i++) {
		const size_t before = i * per_shard;
		const size_t left = snapshot->n_blocks > before ? snapshot->n_blocks - before : 0;
		header.entries_used[i] = (uint32_t)(left < per_shard ? left : per_shard);
	}
	*out = header;
	return 0;
}

static void put(FILE *file, const void *bytes, size_t n)
{
	if (n)
		fwrite(bytes, n, 1, file);
}

static void seek(FILE *file, const struct heap_region *region)
{
	fseeko(file, (off_t)region->off, SEEK_SET);
}

static void put_replica(FILE *file, const struct heap_snapshot *snapshot)
{
	struct heap_replica replica = {.n_owners = 1, .reallocs = snapshot->reallocs};
	for (size_t i = 0; i < HEAP_SIZE_CLASSES; i++) {
		replica.size_allocs[i] = parts(snapshot, snapshot->size_allocs[i]);
		replica.size_bytes[i] = snapshot->size_bytes[i];
	}
	put(file, &replica, sizeof(replica));
}

static void put_counter(FILE *file, const struct heap_snapshot *snapshot,
			const struct heap_site_sum *sum)
{
	const struct heap_counter_sampled counter = {
		.weighted =
			{
				.allocs = parts(snapshot, sum->allocs),
				.alloc_bytes = sum->alloc_bytes,
				.frees = parts(snapshot, sum->frees),
				.free_bytes = sum->free_bytes,
				.peak_blocks = sum->peak_blocks > 0
						       ? (int64_t)parts(snapshot,
									(uint64_t)sum->peak_blocks)
						       : sum->peak_blocks,
				.peak_bytes = sum->peak_bytes,
				.epoch = snapshot->header.peak_epoch,
				.temporary = parts(snapshot, sum->temporary),
			},
		.raw_allocs = sum->raw_allocs,
		.raw_frees = sum->raw_frees,
		.alloc_blocks_variance = sum->alloc_blocks_variance,
		.alloc_bytes_variance = sum->alloc_bytes_variance,
	};
	put(file, &counter, snapshot->header.counter_bytes);
}

static void put_block(FILE *file, const struct heap_live *live)
{
	const struct heap_block block = {
		.address = live->address,
		.size_seq = live->size_bytes,
		.site = live->site,
		.tid = live->tid,
		.born = live->born_ticks,
	};
	put(file, &block, sizeof(block));
}

static void write_tables(FILE *file, const struct heap_snapshot *snapshot,
			 const struct heap_header *header)
{
	put(file, header, sizeof(*header));
	seek(file, &header->modules);
	put(file, snapshot->modules, header->n_modules * sizeof(struct heap_module));
	seek(file, &header->nodes);
	put(file, snapshot->nodes, header->n_nodes * sizeof(struct heap_node));
	seek(file, &header->sites);
	for (uint32_t i = 0; i < header->n_sites; i++) {
		const struct heap_site site = {.node = snapshot->sites[i].node};
		put(file, &site, sizeof(site));
	}
	seek(file, &header->replicas);
	put_replica(file, snapshot);
	seek(file, &header->counters);
	for (uint32_t i = 0; i < header->n_sites; i++)
		put_counter(file, snapshot, &snapshot->sites[i]);
	seek(file, &header->blocks);
	for (size_t i = 0; i < snapshot->n_blocks; i++)
		put_block(file, &snapshot->blocks[i]);
}

int heap_pack(const struct heap_snapshot *snapshot, int fd)
{
	struct heap_header header;
	int rc = lay_out(snapshot, &header);
	if (rc)
		return rc;
	const int own = dup(fd);
	FILE *file = own < 0 ? NULL : fdopen(own, "w");
	if (!file) {
		rc = -errno;
		if (own >= 0)
			close(own);
		return rc;
	}
	errno = 0;
	write_tables(file, snapshot, &header);
	if (fflush(file) || ferror(file))
		rc = errno ? -errno : -EIO;
	fclose(file);
	/* the last part ends with a page of which not all is written */
	if (!rc && ftruncate(fd, (off_t)header.file_bytes))
		rc = -errno;
	return rc;
}
