/*
 * heap_blocks.c - the live blocks of a heap file, also of one that is being written to.
 */
#include "base/array.h"
#include "base/cleanup.h"
#include "heap_tables.h"

#include <errno.h>
#include <string.h>

/* Entries looked at together: few, so that little changes between the first look and the last. */
enum { CHUNK = 512, RETRIES = 20 };

struct window {
	struct heap_block before[CHUNK], middle[CHUNK], after[CHUNK];
};

static bool same(const struct heap_block *a, const struct heap_block *b)
{
	return a->address == b->address && a->size_seq == b->size_seq;
}

static int keep(const struct heap_source *source, struct heap_snapshot *snapshot,
		const struct heap_block *block)
{
	struct heap_live *live =
		CP_ARRAY_PUSH(snapshot->blocks, snapshot->n_blocks, snapshot->cap_blocks);
	if (!live)
		return cp_fail_nomem(source->file.err);
	*live = (struct heap_live){
		.address = block->address,
		.size_bytes = heap_block_size(block->size_seq),
		.born_ticks = block->born,
		.site = block->site,
		.tid = block->tid,
	};
	const uint64_t born_ns = (uint64_t)block->born * HEAP_TICK_NS;
	if (born_ns > snapshot->newest_ns)
		snapshot->newest_ns = born_ns;
	return 0;
}

/*
 * Read entries three times. Where the first and the last read agree on address and use, the fields
 * of the one in between are that block's: it was made before, and not freed until after.
 */
static int look(const struct heap_source *source, uint64_t off, size_t n, struct window *window)
{
	const size_t bytes = n * sizeof(struct heap_block);
	int rc = elf_source_read(&source->file, off, window->before, bytes);
	if (rc)
		return rc;
	if (!source->live) {
		memcpy(window->middle, window->before, bytes);
		memcpy(window->after, window->before, bytes);
		return 0;
	}
	rc = elf_source_read(&source->file, off, window->middle, bytes);
	return rc ? rc : elf_source_read(&source->file, off, window->after, bytes);
}

/* An entry that changed under the first look: by itself, a few times. */
static int look_again(const struct heap_source *source, uint64_t off,
		      struct heap_snapshot *snapshot)
{
	struct window window;
	for (unsigned i = 0; i < RETRIES; i++) {
		const int rc = look(source, off, 1, &window);
		if (rc)
			return rc;
		if (!same(&window.before[0], &window.after[0]))
			continue;
		return window.middle[0].address ? keep(source, snapshot, &window.middle[0]) : 0;
	}
	snapshot->torn_blocks++;
	return 0;
}

static int read_chunk(const struct heap_source *source, uint64_t off, size_t n,
		      struct window *window, struct heap_snapshot *snapshot)
{
	int rc = look(source, off, n, window);
	for (size_t i = 0; i < n && !rc; i++) {
		if (!same(&window->before[i], &window->after[i]))
			rc = look_again(source, off + i * sizeof(struct heap_block), snapshot);
		else if (window->middle[i].address)
			rc = keep(source, snapshot, &window->middle[i]);
	}
	return rc;
}

int heap_read_blocks(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	const struct heap_header *header = &snapshot->header;
	const uint64_t per_shard = header->max_blocks / HEAP_SHARDS;
	CP_CLEANUP(cp_free) struct window *window = malloc(sizeof(*window));
	if (!window)
		return cp_fail_nomem(source->file.err);
	for (size_t shard = 0; shard < HEAP_SHARDS; shard++) {
		const uint64_t start =
			header->blocks.off + shard * per_shard * sizeof(struct heap_block);
		const uint32_t used = header->entries_used[shard];
		for (uint32_t at = 0; at < used; at += CHUNK) {
			const size_t n = used - at < CHUNK ? used - at : CHUNK;
			const int rc = read_chunk(source, start + at * sizeof(struct heap_block), n,
						  window, snapshot);
			if (rc)
				return rc;
		}
	}
	return 0;
}
