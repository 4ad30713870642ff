#include "heap_rss.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct mapping {
	uint64_t start, end;
	char path[512]; /* its beginning */
	bool shared, anonymous;
	uint64_t rss_bytes;
	bool recorders; /* flags that only the shim's own tables have together */
};

/* Addresses of the live blocks, sorted. */
struct addresses {
	uint64_t *items;
	size_t n;
};

static int compare(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

static bool hold_one(const struct addresses *addresses, uint64_t start, uint64_t end)
{
	size_t low = 0, high = addresses->n;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (addresses->items[middle] < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < addresses->n && addresses->items[low] < end;
}

static void add(const struct mapping *mapping, const struct addresses *addresses,
		struct heap_rss *rss)
{
	uint64_t *to;
	if (mapping->shared)
		to = strstr(mapping->path, HEAP_FILE_SUFFIX) ? &rss->recorder_bytes
							     : &rss->shared_bytes;
	else if (strcmp(mapping->path, "[heap]") == 0 ||
		 hold_one(addresses, mapping->start, mapping->end))
		to = &rss->malloc_bytes;
	else if (strcmp(mapping->path, "[stack]") == 0)
		to = &rss->stack_bytes;
	else if (!mapping->anonymous)
		to = &rss->file_bytes;
	else
		to = mapping->recorders ? &rss->recorder_bytes : &rss->other_anonymous_bytes;
	*to += mapping->rss_bytes;
	rss->total_bytes += mapping->rss_bytes;
}

/* A first line: the addresses of a mapping. Return: false for the lines about it. */
static bool starts(const char *line, struct mapping *out)
{
	struct mapping mapping = {0};
	char modes[8] = "";
	uint64_t inode;
	int path_at = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*x:%*x %" SCNu64 " %n", &mapping.start,
		   &mapping.end, modes, &inode, &path_at) < 4)
		return false;
	mapping.shared = modes[3] == 's';
	mapping.anonymous = inode == 0;
	snprintf(mapping.path, sizeof(mapping.path), "%s", path_at ? line + path_at : "");
	*out = mapping;
	return true;
}

static void take(const char *line, struct mapping *mapping)
{
	uint64_t kib;
	if (sscanf(line, "Rss: %" SCNu64 " kB", &kib) == 1)
		mapping->rss_bytes = kib < UINT64_MAX / 1024 ? kib * 1024 : 0;
	else if (strncmp(line, "VmFlags:", 8) == 0)
		/* which has said of all of it whether its pages are to be huge */
		mapping->recorders = strstr(line, " nr") && strstr(line, " dd") &&
				     (strstr(line, " nh") || strstr(line, " hg"));
}

static int read_lines(FILE *smaps, const struct addresses *addresses, struct heap_rss *rss)
{
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	struct mapping mapping = {0};
	while (getline(&line, &cap, smaps) > 0) {
		struct mapping next;
		line[strcspn(line, "\n")] = '\0';
		if (!starts(line, &next)) {
			take(line, &mapping);
			continue;
		}
		if (mapping.end)
			add(&mapping, addresses, rss);
		mapping = next;
	}
	if (mapping.end)
		add(&mapping, addresses, rss);
	return ferror(smaps) ? -EIO : 0;
}

int heap_rss_parse(FILE *smaps, const struct heap_snapshot *snapshot, struct heap_rss *out)
{
	struct heap_rss rss = {0};
	struct addresses addresses = {.items = calloc(snapshot->n_blocks + 1, sizeof(uint64_t))};
	double live = 0;
	if (!addresses.items)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_blocks; i++) {
		const struct heap_live *block = &snapshot->blocks[i];
		addresses.items[addresses.n++] = block->address;
		live += heap_weight_of(block->size_bytes, snapshot->header.sample_bytes).bytes;
	}
	qsort(addresses.items, addresses.n, sizeof(uint64_t), compare);
	const int rc = read_lines(smaps, &addresses, &rss);
	free(addresses.items);
	rss.live_bytes = (uint64_t)live;
	if (!rc)
		*out = rss;
	return rc;
}

int heap_rss_read(pid_t pid, const struct heap_snapshot *snapshot, struct heap_rss *out)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%ld/smaps", (long)pid);
	CP_CLEANUP(cp_close_file) FILE *smaps = fopen(path, "re");
	if (!smaps)
		return -errno;
	const int rc = heap_rss_parse(smaps, snapshot, out);
	/* without the right to look into the process the file is empty */
	return rc || out->total_bytes ? rc : -EACCES;
}
