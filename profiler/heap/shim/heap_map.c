#include "heap_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "place.h"
#include "shim.h"
#include "sys.h"

enum { PAGE_BYTES = 4096, FOLD_BYTES = 64 << 10 };

static struct heap_region lay(uint64_t *at, uint64_t bytes)
{
	const struct heap_region region = {
		.off = *at,
		.max_bytes = (bytes + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1),
	};
	*at += region.max_bytes;
	return region;
}

static void lay_out(struct heap_header *header, const struct settings *settings)
{
	uint64_t at = (sizeof(*header) + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
	header->max_blocks = settings->max_blocks;
	header->max_nodes = settings->max_nodes;
	header->max_sites = settings->max_sites;
	header->max_modules = settings->max_modules;
	header->n_replicas = settings->n_replicas;
	header->counter_bytes = settings->sample_bytes ? sizeof(struct heap_counter_sampled)
						       : sizeof(struct heap_counter);
	header->modules = lay(&at, (uint64_t)header->max_modules * sizeof(struct heap_module));
	header->nodes = lay(&at, (uint64_t)header->max_nodes * sizeof(struct heap_node));
	header->sites = lay(&at, (uint64_t)header->max_sites * sizeof(struct heap_site));
	header->replicas = lay(&at, header->n_replicas * sizeof(struct heap_replica));
	header->counters =
		lay(&at, (uint64_t)header->n_replicas * header->max_sites * header->counter_bytes);
	header->blocks = lay(&at, (uint64_t)header->max_blocks * sizeof(struct heap_block));
	header->index = lay(&at, 0);
	header->file_bytes = at;
}

static uint64_t limit_of(int resource)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

/*
 * Beyond RLIMIT_FSIZE ftruncate() is a SIGXFSZ; of RLIMIT_AS, and of RLIMIT_DATA, which counts
 * the private memory, an eighth is taken at most, the rest is the target's.
 */
static bool fit(struct heap_header *header, struct settings *settings)
{
	const uint64_t space = limit_of(RLIMIT_AS);
	const uint64_t data = limit_of(RLIMIT_DATA);
	const uint64_t file = limit_of(RLIMIT_FSIZE);
	for (;;) {
		lay_out(header, settings);
		const uint64_t private_bytes = sizeof(struct shim_private) +
					       block_table_private_bytes(header->max_blocks) +
					       node_table_heads_bytes(header->max_nodes);
		if (header->file_bytes <= file && private_bytes <= data / 8 &&
		    (space == UINT64_MAX || header->file_bytes + private_bytes <= space / 8))
			return true;
		if (settings->max_blocks <= 4096)
			return false;
		settings->max_blocks = (settings->max_blocks / 2) & ~UINT32_C(4095);
		settings->max_nodes = settings->max_nodes > 4096 ? settings->max_nodes / 2 : 4096;
		settings->max_sites = settings->max_sites > 1024 ? settings->max_sites / 2 : 1024;
		settings->n_replicas = settings->n_replicas > 4 ? settings->n_replicas / 2 : 2;
	}
}

static bool map_file(struct heap_map *map, int fd, uint64_t bytes)
{
	if (ftruncate(fd, (off_t)bytes) != 0)
		return false;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return false;
	madvise(base, bytes, MADV_DONTDUMP);
	/* a tmpfs with huge=always would spend 2 MB on the first page of every region */
	madvise(base, bytes, MADV_NOHUGEPAGE);
	*map = (struct heap_map){.header = base, .base = base, .bytes = bytes};
	return true;
}

static bool make(struct heap_map *map, const struct settings *settings,
		 const struct heap_header *header, int fd)
{
	if (!map_file(map, fd, header->file_bytes))
		return false;
	const bool all = settings->populate;
	if (all && posix_fallocate(fd, 0, (off_t)header->file_bytes) != 0)
		return false;
	map->populated = all;
	if (!all && sys_madvise((uint64_t)(uintptr_t)map->base, header->modules.off,
				SYS_MADV_POPULATE_WRITE) != 0)
		return false;
	*map->header = *header;
	return true;
}

bool heap_map_create(struct heap_map *map, struct settings *settings, const char *exe)
{
	struct heap_header header = {
		.version = HEAP_FILE_VERSION,
		.header_bytes = sizeof(header),
		.page_bytes = PAGE_BYTES,
		.sample_bytes = settings->sample_bytes,
		.seed = settings->seed,
		.fold_bytes = FOLD_BYTES,
		.settings_refused = settings->refused,
	};
	if (!fit(&header, settings))
		return false;
	struct place place;
	for (unsigned attempt = 0; place_open(&place, settings->output, exe, attempt); attempt++) {
		const bool made = make(map, settings, &header, place.fd);
		close(place.fd);
		memcpy(map->path, place.path, sizeof(map->path));
		if (made)
			return true;
		heap_map_destroy(map);
	}
	return false;
}

void heap_map_destroy(struct heap_map *map)
{
	unlink(map->path);
	if (map->base)
		munmap(map->base, map->bytes);
	*map = (struct heap_map){0};
}
