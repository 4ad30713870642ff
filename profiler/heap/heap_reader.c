#include "heap_reader.h"

#include "base/cleanup.h"
#include "heap_tables.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

/*
 * A region must lie in the file and hold the @count entries of @size bytes that are used: a packed
 * file has no room for more.
 */
static int check_region(const struct heap_source *source, const struct heap_region *region,
			const char *what, uint64_t count, uint64_t size)
{
	if (region->off < sizeof(struct heap_header) || region->off % 8 != 0 ||
	    region->off > source->file.size || region->max_bytes > source->file.size - region->off)
		return heap_damaged(source, "its %s lie outside the file", what);
	if (count > region->max_bytes / size)
		return heap_damaged(source, "its %s do not fit into their part of the file", what);
	return 0;
}

static int check_regions(const struct heap_source *source, const struct heap_header *header)
{
	int rc = check_region(source, &header->modules, "modules", header->n_modules,
			      sizeof(struct heap_module));
	if (!rc)
		rc = check_region(source, &header->nodes, "stack frames", header->n_nodes,
				  sizeof(struct heap_node));
	if (!rc)
		rc = check_region(source, &header->sites, "allocation sites", header->n_sites,
				  sizeof(struct heap_site));
	if (!rc)
		rc = check_region(source, &header->replicas, "threads' totals", header->n_replicas,
				  sizeof(struct heap_replica));
	if (!rc)
		rc = check_region(source, &header->counters, "counters",
				  (uint64_t)(header->n_replicas - 1) * header->max_sites +
					  header->n_sites,
				  header->counter_bytes);
	if (!rc)
		rc = check_region(source, &header->blocks, "blocks", header->max_blocks,
				  sizeof(struct heap_block));
	return rc;
}

static int check_identity(const struct heap_source *source, const struct heap_header *header)
{
	static const char zeros[sizeof(header->magic)];
	if (memcmp(header->magic, zeros, sizeof(zeros)) == 0)
		return cp_fail(source->file.err, -EAGAIN,
			       "%s is being made by its process at this moment, or was left so: it "
			       "holds nothing yet",
			       source->file.name);
	if (memcmp(header->magic, HEAP_FILE_MAGIC, sizeof(header->magic)) != 0)
		return cp_fail(source->file.err, -EBADMSG, "%s is no heap file of cprof",
			       source->file.name);
	if (header->version != HEAP_FILE_VERSION)
		return cp_fail(source->file.err, -EBADMSG,
			       "%s is a heap file of version %u; this cprof reads version %d: use "
			       "the cprof that came with the libcprof_heap.so that made it",
			       source->file.name, header->version, HEAP_FILE_VERSION);
	if (header->header_bytes != sizeof(*header))
		return heap_damaged(source, "its header has %u bytes instead of %zu",
				    header->header_bytes, sizeof(*header));
	return 0;
}

static int check_numbers(const struct heap_source *source, const struct heap_header *header)
{
	const uint32_t counter = header->sample_bytes ? sizeof(struct heap_counter_sampled)
						      : sizeof(struct heap_counter);
	if (header->state > HEAP_STATE_REPLACED)
		return heap_damaged(source, "it has the unknown state %u", header->state);
	if (header->counter_bytes != counter)
		return heap_damaged(source, "its counters have %u bytes", header->counter_bytes);
	if (header->n_replicas < 1 || header->n_replicas > HEAP_REPLICAS_MAX)
		return heap_damaged(source, "it has %u sets of counters", header->n_replicas);
	if (header->n_modules > header->max_modules || header->n_nodes > header->max_nodes ||
	    header->n_sites > header->max_sites || header->max_modules > UINT16_MAX + 1)
		return heap_damaged(source, "a table holds more than its limit");
	for (size_t i = 0; i < HEAP_SHARDS; i++)
		if (header->entries_used[i] > header->max_blocks / HEAP_SHARDS)
			return heap_damaged(source,
					    "part %zu of its blocks holds more than its "
					    "limit",
					    i);
	return 0;
}

int heap_read_header(const struct heap_source *source, struct heap_header *out)
{
	if (source->file.size < sizeof(*out))
		return cp_fail(source->file.err, -EBADMSG,
			       "%s is no heap file of cprof: it is too short", source->file.name);
	int rc = elf_source_read(&source->file, 0, out, sizeof(*out));
	if (!rc)
		rc = check_identity(source, out);
	if (!rc)
		rc = check_numbers(source, out);
	if (!rc)
		rc = check_regions(source, out);
	if (rc)
		return rc;
	/* texts that fill their field have no end */
	out->exe[sizeof(out->exe) - 1] = '\0';
	out->command[sizeof(out->command) - 1] = '\0';
	out->allocator[sizeof(out->allocator) - 1] = '\0';
	return 0;
}

int(heap_damaged)(const struct heap_source *source, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cp_fail(source->file.err, -EBADMSG, "%s is damaged, or no heap file: %s",
		       source->file.name, text);
}

/* @count entries of @size bytes at @region's start. Return: NULL with *@rc set on failure. */
static void *read_table(const struct heap_source *source, const struct heap_region *region,
			uint64_t count, size_t size, int *rc)
{
	/* one more: none is of size 0, and the entries 0 are there to be looked at */
	void *table = calloc((size_t)count + 1, size);
	*rc = table ? elf_source_read(&source->file, region->off, table, (size_t)count * size)
		    : cp_fail_nomem(source->file.err);
	if (*rc == 0)
		return table;
	free(table);
	return NULL;
}

static int read_sites(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	int rc;
	const struct heap_header *header = &snapshot->header;
	CP_CLEANUP(cp_free)
	struct heap_site *sites =
		read_table(source, &header->sites, header->n_sites, sizeof(*sites), &rc);
	if (!sites)
		return rc;
	snapshot->sites = calloc((size_t)header->n_sites + 1, sizeof(*snapshot->sites));
	if (!snapshot->sites)
		return cp_fail_nomem(source->file.err);
	for (uint32_t i = 0; i < header->n_sites; i++)
		snapshot->sites[i].node = sites[i].node;
	return 0;
}

static int read_nodes(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	int rc;
	const struct heap_header *header = &snapshot->header;
	snapshot->nodes =
		read_table(source, &header->nodes, header->n_nodes, sizeof(*snapshot->nodes), &rc);
	if (!snapshot->nodes)
		return rc;
	for (uint32_t i = 1; i < header->n_nodes; i++)
		if (snapshot->nodes[i].parent >= i)
			return heap_damaged(source, "stack frame %u is called from frame %u", i,
					    snapshot->nodes[i].parent);
	for (uint32_t i = 0; i < header->n_sites; i++)
		if (snapshot->sites[i].node >= header->n_nodes && snapshot->sites[i].node)
			return heap_damaged(source, "site %u has the stack %u of %u", i,
					    snapshot->sites[i].node, header->n_nodes);
	return 0;
}

static int read_modules(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	int rc;
	const struct heap_header *header = &snapshot->header;
	snapshot->modules = read_table(source, &header->modules, header->n_modules,
				       sizeof(*snapshot->modules), &rc);
	if (!snapshot->modules)
		return rc;
	for (uint32_t i = 0; i < header->n_modules; i++) {
		struct heap_module *module = &snapshot->modules[i];
		module->path[sizeof(module->path) - 1] = '\0';
		if (module->build_id_bytes > HEAP_BUILD_ID_BYTES || module->end < module->start)
			return heap_damaged(source, "module %u contradicts itself", i);
	}
	for (uint32_t i = 1; i < header->n_nodes; i++)
		if (snapshot->nodes[i].module >= header->n_modules && snapshot->nodes[i].module)
			return heap_damaged(source, "stack frame %u is in module %u of %u", i,
					    snapshot->nodes[i].module, header->n_modules);
	return 0;
}

static int check_blocks(const struct heap_source *source, const struct heap_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->n_blocks; i++)
		if (snapshot->blocks[i].site >= snapshot->header.n_sites)
			return heap_damaged(source, "a block is of site %u of %u",
					    snapshot->blocks[i].site, snapshot->header.n_sites);
	return 0;
}

/*
 * What refers is read before what it refers to, each time with the sizes of the moment: blocks,
 * sites, nodes, modules. All of these tables only grow.
 */
static int read_all(const struct heap_source *source, struct heap_snapshot *snapshot)
{
	struct heap_header *header = &snapshot->header;
	int rc = heap_read_header(source, header);
	if (!rc)
		rc = heap_read_blocks(source, snapshot);
	if (!rc)
		rc = heap_read_header(source, header);
	if (!rc)
		rc = check_blocks(source, snapshot);
	if (!rc)
		rc = read_sites(source, snapshot);
	if (!rc)
		rc = heap_read_counters(source, snapshot);
	const struct heap_header counted = *header;
	if (!rc)
		rc = heap_read_header(source, header);
	header->n_sites = counted.n_sites;
	if (!rc)
		rc = read_nodes(source, snapshot);
	const uint32_t n_nodes = header->n_nodes;
	if (!rc)
		rc = heap_read_header(source, header);
	header->n_sites = counted.n_sites;
	header->n_nodes = n_nodes;
	if (!rc)
		rc = read_modules(source, snapshot);
	/* the peak that the counters were read at */
	header->peak_epoch = counted.peak_epoch;
	header->peak_bytes = counted.peak_bytes;
	header->peak_monotonic_ns = counted.peak_monotonic_ns;
	return rc;
}

static int read_source(const struct heap_source *source, struct heap_snapshot **out)
{
	struct heap_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return cp_fail_nomem(source->file.err);
	const int rc = read_all(source, snapshot);
	if (rc)
		heap_snapshot_destroy(snapshot);
	else
		*out = snapshot;
	return rc;
}

int heap_snapshot_read_fd(int fd, const char *name, bool live, struct heap_snapshot **out,
			  struct cp_err *err)
{
	struct heap_source source = {.live = live};
	struct stat st;
	int rc = elf_source_of_fd(fd, name, err, &source.file);
	if (!rc)
		rc = read_source(&source, out);
	if (!rc && fstat(fd, &st) == 0)
		(*out)->disk_bytes = (uint64_t)st.st_blocks * 512;
	return rc;
}

int heap_snapshot_read_bytes(const void *bytes, size_t n, struct heap_snapshot **out,
			     struct cp_err *err)
{
	const struct heap_source source = {
		.file = {.fd = -1, .bytes = bytes, .size = n, .name = "heap file", .err = err}};
	return read_source(&source, out);
}

void heap_snapshot_destroy(struct heap_snapshot *snapshot)
{
	if (!snapshot)
		return;
	free(snapshot->modules);
	free(snapshot->nodes);
	free(snapshot->sites);
	free(snapshot->blocks);
	free(snapshot);
}

struct heap_weight heap_weight_of(uint64_t size_bytes, uint64_t sample_bytes)
{
	const double size = (double)size_bytes;
	if (!sample_bytes)
		return (struct heap_weight){.blocks = 1, .bytes = size};
	/* an empty block takes part as one byte, or its chance would be 0 */
	const double chance = -expm1(-(size_bytes ? size : 1) / (double)sample_bytes);
	const double variance = (1 - chance) / (chance * chance);
	return (struct heap_weight){
		.blocks = 1 / chance,
		.bytes = size / chance,
		.blocks_variance = variance,
		.bytes_variance = variance * size * size,
	};
}

unsigned heap_stack_end(const struct heap_snapshot *snapshot, uint32_t node)
{
	unsigned flags = 0;
	for (; node; node = snapshot->nodes[node].parent)
		flags = snapshot->nodes[node].flags;
	return flags & ~(unsigned)HEAP_STACK_BY_FP;
}
