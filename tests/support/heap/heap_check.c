/*
 * heap_check.c - print what a heap file holds, and exit 1 when it contradicts itself.
 *
 *     heap_check FILE [--blocks] [--stacks]
 *
 * Reads the format as heap_file.h states it and shares no code with cprof's own reader. Lines of
 * "key value"; with --blocks one "block SIZE TID SITE" each, with --stacks one "site" line each:
 * number, allocs, frees, allocated bytes, freed bytes, peak blocks, peak bytes, and the frames,
 * leaf first, as MODULE+OFFSET.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap/heap_file.h"

static const uint8_t *file;
static const struct heap_header *header;
static unsigned errors;

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			errors++;                                                                  \
			printf("error ");                                                          \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
		}                                                                                  \
	} while (0)

static const char *const loss_names[HEAP_LOSS_COUNT] = {
	[HEAP_LOSS_REENTERED] = "reentered",       [HEAP_LOSS_TABLE_FULL] = "table_full",
	[HEAP_LOSS_NO_SPACE] = "no_space",         [HEAP_LOSS_LOCK] = "lock",
	[HEAP_LOSS_SITES_FULL] = "sites_full",     [HEAP_LOSS_UNKNOWN_FREE] = "unknown_free",
	[HEAP_LOSS_MISSED_FREE] = "missed_free",   [HEAP_LOSS_BOOTSTRAP] = "bootstrap",
	[HEAP_LOSS_STACK_LOCK] = "stack_lock",     [HEAP_LOSS_STACK_NO_SPACE] = "stack_no_space",
	[HEAP_LOSS_MODULES_FULL] = "modules_full",
};

struct totals {
	uint64_t allocs, alloc_bytes, frees, free_bytes, temporary;
	int64_t peak_blocks, peak_bytes;
};

static void add_counter(struct totals *totals, const struct heap_counter *counter)
{
	const int64_t live = (int64_t)(counter->allocs - counter->frees);
	const int64_t live_bytes = (int64_t)(counter->alloc_bytes - counter->free_bytes);
	const bool current = counter->epoch != header->peak_epoch;
	totals->allocs += counter->allocs;
	totals->alloc_bytes += counter->alloc_bytes;
	totals->frees += counter->frees;
	totals->free_bytes += counter->free_bytes;
	totals->temporary += counter->temporary;
	totals->peak_blocks += current ? live : counter->peak_blocks;
	totals->peak_bytes += current ? live_bytes : counter->peak_bytes;
}

static struct totals of_site(uint32_t site)
{
	struct totals totals = {0};
	for (uint32_t r = 0; r < header->n_replicas; r++)
		add_counter(&totals, (const void *)(file + header->counters.off +
						    ((uint64_t)r * header->max_sites + site) *
							    header->counter_bytes));
	return totals;
}

static void print_frames(uint32_t node)
{
	const struct heap_node *nodes = (const void *)(file + header->nodes.off);
	const struct heap_module *modules = (const void *)(file + header->modules.off);
	while (node) {
		CHECK(node < header->n_nodes && nodes[node].parent < node, "node %u", node);
		if (node >= header->n_nodes || nodes[node].parent >= node)
			return;
		const struct heap_module *module = &modules[nodes[node].module];
		const char *slash = strrchr(module->path, '/');
		CHECK(nodes[node].module < header->n_modules, "module of node %u", node);
		CHECK(!nodes[node].module || (nodes[node].address >= module->start &&
					      nodes[node].address < module->end),
		      "node %u is outside its module", node);
		printf(" %s+0x%" PRIx64, slash ? slash + 1 : module->path,
		       nodes[node].address - module->bias);
		if (nodes[node].flags)
			printf("!%u", nodes[node].flags);
		node = nodes[node].parent;
	}
}

static void check_sites(bool print)
{
	const struct heap_site *sites = (const void *)(file + header->sites.off);
	struct totals all = {0};
	for (uint32_t i = 0; i < header->n_sites; i++) {
		const struct totals t = of_site(i);
		all.allocs += t.allocs;
		all.alloc_bytes += t.alloc_bytes;
		all.frees += t.frees;
		all.free_bytes += t.free_bytes;
		all.temporary += t.temporary;
		all.peak_blocks += t.peak_blocks;
		all.peak_bytes += t.peak_bytes;
		CHECK(i == 0 || (sites[i].node && sites[i].node < header->n_nodes), "site %u", i);
		if (!print)
			continue;
		printf("site %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64
		       " %" PRId64,
		       i, t.allocs, t.frees, t.alloc_bytes, t.free_bytes, t.peak_blocks,
		       t.peak_bytes);
		print_frames(sites[i].node);
		printf("\n");
	}
	printf("allocs %" PRIu64 "\nalloc_bytes %" PRIu64 "\nfrees %" PRIu64 "\nfree_bytes %" PRIu64
	       "\n",
	       all.allocs, all.alloc_bytes, all.frees, all.free_bytes);
	printf("temporary %" PRIu64 "\nsite_peak_blocks %" PRId64 "\nsite_peak_bytes %" PRId64 "\n",
	       all.temporary, all.peak_blocks, all.peak_bytes);
}

static void check_blocks(bool print)
{
	uint64_t n = 0, bytes = 0;
	const uint64_t per_shard = header->max_blocks / HEAP_SHARDS;
	for (uint32_t shard = 0; shard < HEAP_SHARDS; shard++) {
		const struct heap_block *blocks =
			(const struct heap_block *)(const void *)(file + header->blocks.off) +
			shard * per_shard;
		CHECK(header->entries_used[shard] <= per_shard, "shard %u", shard);
		for (uint32_t i = 0; i < header->entries_used[shard]; i++) {
			if (!blocks[i].address)
				continue;
			CHECK(blocks[i].site < header->n_sites, "site of block %u", i);
			n++;
			bytes += heap_block_size(blocks[i].size_seq);
			if (print)
				printf("block %" PRIu64 " %u %u\n",
				       heap_block_size(blocks[i].size_seq), blocks[i].tid,
				       blocks[i].site);
		}
	}
	printf("live_blocks %" PRIu64 "\nlive_bytes %" PRIu64 "\n", n, bytes);
}

static void print_header(void)
{
	printf("state %u\npid %u\nexe %s\nallocator %s\n", header->state, header->pid, header->exe,
	       header->allocator);
	printf("folded_bytes %" PRIu64 "\npeak_bytes %" PRIu64 "\n", header->live_bytes,
	       header->peak_bytes);
	printf("max_blocks %u\n", header->max_blocks);
	printf("settings_refused %u\n", header->settings_refused);
	printf("nodes %u\nsites %u\nmodules %u\nmodule_epoch %u\nfrozen %u\nmax_threads %u\n",
	       header->n_nodes, header->n_sites, header->n_modules, header->module_epoch,
	       header->frozen, header->max_threads);
	for (unsigned i = 0; i < HEAP_LOSS_COUNT; i++)
		printf("loss_%s %" PRIu64 "\n", loss_names[i], header->losses[i]);
}

/* The parts of a sparse file that were written. */
static bool copy(int fd, uint8_t *to)
{
	for (off_t at = lseek(fd, 0, SEEK_DATA); at >= 0; at = lseek(fd, at, SEEK_DATA)) {
		const off_t end = lseek(fd, at, SEEK_HOLE);
		while (at < end) {
			const ssize_t n = pread(fd, to + at, (size_t)(end - at), at);
			if (n <= 0)
				return false;
			at += n;
		}
	}
	return true;
}

static bool map(const char *path)
{
	struct stat st;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(*header))
		return false;
	/* not mapped: on a full tmpfs, to read a hole is a SIGBUS */
	uint8_t *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED || !copy(fd, at))
		return false;
	close(fd);
	file = at;
	header = (const void *)at;
	printf("file_kb %" PRIu64 "\n", (uint64_t)st.st_blocks / 2);
	return memcmp(header->magic, HEAP_FILE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->version == HEAP_FILE_VERSION && header->header_bytes == sizeof(*header) &&
	       header->file_bytes == (uint64_t)st.st_size;
}

int main(int argc, char **argv)
{
	bool blocks = false, stacks = false;
	for (int i = 2; i < argc; i++) {
		blocks |= strcmp(argv[i], "--blocks") == 0;
		stacks |= strcmp(argv[i], "--stacks") == 0;
	}
	if (argc < 2 || !map(argv[1])) {
		fprintf(stderr, "heap_check: no heap file\n");
		return 2;
	}
	print_header();
	check_sites(stacks);
	check_blocks(blocks);
	printf("errors %u\n", errors);
	return errors ? 1 : 0;
}
