#include "address_space.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "image_store.h"
#include "maps_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The process itself, then who started it: parents, up to here. */
enum { LINEAGE_MAX = 4 };

struct address_space {
	struct image_store *store; /* borrowed */
	pid_t pid;
	/*
	 * Where a process that lived for milliseconds is gone when its files are looked for, those
	 * that started it often live on in the same mount namespace. 0 = none.
	 */
	pid_t lineage[LINEAGE_MAX];
	struct mapping *mappings; /* sorted, disjoint */
	size_t n, cap;
	size_t last_found; /* most look-ups hit the mapping of the one before */
	uint64_t generation;
};

int address_space_create(struct image_store *store, pid_t pid, struct address_space **out)
{
	struct address_space *space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	space->store = store;
	space->pid = space->lineage[0] = pid;
	*out = space;
	return 0;
}

static void drop_mapping(struct image_store *store, struct mapping *mapping)
{
	image_store_release(store, mapping->image);
	free(mapping->path);
}

static void free_mappings(struct image_store *store, struct mapping *mappings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop_mapping(store, &mappings[i]);
	free(mappings);
}

void address_space_destroy(struct address_space *space)
{
	if (!space)
		return;
	free_mappings(space->store, space->mappings, space->n);
	free(space);
}

int address_space_fork(const struct address_space *parent, pid_t pid, struct address_space **out)
{
	struct address_space *child;
	const int ret = address_space_create(parent->store, pid, &child);
	if (ret)
		return ret;
	child->mappings = calloc(parent->n + 1, sizeof(*child->mappings));
	if (!child->mappings) {
		address_space_destroy(child);
		return -ENOMEM;
	}
	child->cap = parent->n + 1;
	const size_t own = parent->pid == pid ? 0 : 1;
	for (size_t i = own; i < LINEAGE_MAX; i++)
		child->lineage[i] = parent->lineage[i - own];
	for (; child->n < parent->n; child->n++) {
		struct mapping *mapping = &child->mappings[child->n];
		*mapping = parent->mappings[child->n];
		mapping->path = strdup(mapping->path);
		if (!mapping->path) {
			address_space_destroy(child);
			return -ENOMEM;
		}
		if (mapping->opened_pid == parent->pid)
			mapping->opened_pid = pid;
		image_store_hold(parent->store, mapping->image);
	}
	*out = child;
	return 0;
}

void address_space_clear(struct address_space *space)
{
	free_mappings(space->store, space->mappings, space->n);
	space->mappings = NULL;
	space->n = space->cap = 0;
	space->generation++;
}

/* The number of mappings that end at or below @avma: the index of the first that does not. */
static size_t lower_bound(const struct address_space *space, uint64_t avma)
{
	size_t lo = 0, hi = space->n;
	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		if (space->mappings[mid].avma_end <= avma)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool same_mapping(const struct mapping *mapping, const struct mapping *other)
{
	return mapping->avma_start == other->avma_start && mapping->avma_end == other->avma_end &&
	       mapping->file_off == other->file_off && mapping->kind == other->kind &&
	       mapping->inode == other->inode && mapping->dev_major == other->dev_major &&
	       mapping->dev_minor == other->dev_minor;
}

static void cut_front(struct mapping *mapping, uint64_t avma)
{
	if (mapping->kind != MAPPING_ANON)
		mapping->file_off += avma - mapping->avma_start;
	mapping->avma_start = avma;
}

/*
 * Make room for [start, end): what lies inside goes, what sticks out is cut. The parts left keep
 * what is known about them: the bias is the same for all parts of a mapping.
 *
 * @at: of the first mapping that ends above @start; the caller has room for two more
 * Return: where the new mapping belongs, or SIZE_MAX when out of memory (nothing is changed).
 */
static size_t carve(struct address_space *space, size_t at, uint64_t start, uint64_t end)
{
	struct mapping *first = &space->mappings[at];
	if (at < space->n && first->avma_start < start) {
		if (first->avma_end > end) { /* sticks out on both sides: the tail is a new one */
			struct mapping tail = *first;
			tail.path = strdup(tail.path);
			if (!tail.path)
				return SIZE_MAX;
			image_store_hold(space->store, tail.image);
			cut_front(&tail, end);
			memmove(first + 2, first + 1, (space->n - at - 1) * sizeof(*first));
			first[1] = tail;
			space->n++;
		}
		first->avma_end = start;
		at++;
	}
	size_t covered_end = at;
	while (covered_end < space->n && space->mappings[covered_end].avma_end <= end)
		drop_mapping(space->store, &space->mappings[covered_end++]);
	memmove(&space->mappings[at], &space->mappings[covered_end],
		(space->n - covered_end) * sizeof(*space->mappings));
	space->n -= covered_end - at;
	if (at < space->n && space->mappings[at].avma_start < end)
		cut_front(&space->mappings[at], end);
	return at;
}

/* True when an address gets the same binary and bias from both, or from neither one. */
static bool same_answer(const struct mapping *mapping, const struct mapping *other)
{
	if (mapping->kind == MAPPING_ANON && other->kind == MAPPING_ANON)
		return true;
	return mapping->kind == other->kind && mapping->inode == other->inode &&
	       mapping->dev_major == other->dev_major && mapping->dev_minor == other->dev_minor &&
	       mapping->avma_start - mapping->file_off == other->avma_start - other->file_off;
}

/* True when @part tells nothing new. A JIT changes the protection of its code pages all the time,
 * which gives a record each time: they must neither pile up nor void what is known. */
static bool is_part_of(const struct mapping *mapping, const struct mapping *part)
{
	return mapping->avma_start <= part->avma_start && part->avma_end <= mapping->avma_end &&
	       same_answer(mapping, part);
}

/*
 * True when a new mapping takes the place of something else.
 *
 * @at: of the first mapping that ends above the start of @added
 */
static bool voids_answers(const struct address_space *space, size_t at, const struct mapping *added)
{
	for (; at < space->n && space->mappings[at].avma_start < added->avma_end; at++)
		if (!same_answer(&space->mappings[at], added))
			return true;
	return false;
}

int address_space_add(struct address_space *space, uint64_t avma_start, uint64_t avma_end,
		      uint64_t file_off, const struct mapping_file *file)
{
	if (avma_start >= avma_end)
		return 0; /* from a record that is not one; nothing can be found in it */
	struct mapping added = {
		.avma_start = avma_start,
		.avma_end = avma_end,
		.file_off = file_off,
		.kind = mapping_kind_of(file->path, file->inode),
		.dev_major = file->dev_major,
		.dev_minor = file->dev_minor,
		.inode = file->inode,
		.deleted = file->deleted,
	};
	/* perf's offset of a mapping without a file is its address, maps says 0 */
	if (added.kind != MAPPING_FILE && added.kind != MAPPING_MEMFD)
		added.file_off = 0;
	const size_t at = lower_bound(space, avma_start);
	if (at < space->n && is_part_of(&space->mappings[at], &added))
		return 0;
	struct mapping *moved =
		cp_array_reserve(space->mappings, &space->cap, space->n + 2, sizeof(*moved));
	if (!moved)
		return -ENOMEM;
	space->mappings = moved;
	added.path = strdup(file->path);
	if (!added.path)
		return -ENOMEM;
	const bool voided = voids_answers(space, at, &added);
	const size_t place = carve(space, at, avma_start, avma_end);
	if (place == SIZE_MAX) {
		free(added.path);
		return -ENOMEM;
	}
	memmove(&moved[place + 1], &moved[place], (space->n - place) * sizeof(*moved));
	moved[place] = added;
	space->n++;
	space->generation += voided;
	return 0;
}

static int fail_maps(struct cp_err *err, pid_t pid, int errnum)
{
	if (errnum == ENOENT || errnum == ESRCH)
		return cp_fail(err, -ESRCH, "process %d is gone", (int)pid);
	if (errnum == EPERM || errnum == EACCES)
		return cp_fail(err, -EACCES, "cannot read /proc/%d/maps: %s; %s", (int)pid,
			       strerror(errnum),
			       geteuid() == 0 ? "the process holds capabilities that this one "
						"lacks, or is in another user namespace"
					      : "the process belongs to another user, or made "
						"itself not dumpable: try as root");
	return cp_fail(err, -errnum, "cannot read /proc/%d/maps: %s", (int)pid, strerror(errnum));
}

static int read_lines(struct address_space *space, FILE *file, struct cp_err *err)
{
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	errno = 0;
	while (getline(&line, &cap, file) >= 0) {
		struct maps_line parsed;
		if (maps_line_parse(line, &parsed) && parsed.exec &&
		    address_space_add(space, parsed.avma_start, parsed.avma_end, parsed.file_off,
				      &parsed.file) != 0)
			return cp_fail_nomem(err);
		errno = 0;
	}
	return ferror(file) ? fail_maps(err, space->pid, errno) : 0;
}

/* Take over what is known about the mappings that are still there. Return: all still are. */
static bool inherit(struct address_space *fresh, const struct address_space *old)
{
	size_t n_same = 0;
	for (size_t i = 0; i < fresh->n; i++) {
		struct mapping *mapping = &fresh->mappings[i];
		const size_t at = lower_bound(old, mapping->avma_start);
		if (at == old->n || !same_mapping(&old->mappings[at], mapping))
			continue;
		char *const path = mapping->path;
		const bool deleted = mapping->deleted;
		*mapping = old->mappings[at];
		mapping->path = path;
		mapping->deleted = deleted;
		image_store_hold(fresh->store, mapping->image);
		n_same++;
	}
	return n_same == old->n;
}

int address_space_read_proc(struct address_space *space, struct cp_err *err)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)space->pid);
	CP_CLEANUP(cp_close_file) FILE *file = fopen(path, "re");
	if (!file)
		return fail_maps(err, space->pid, errno);
	struct address_space fresh = {.store = space->store, .pid = space->pid};
	const int ret = read_lines(&fresh, file, err);
	if (ret) {
		free_mappings(fresh.store, fresh.mappings, fresh.n);
		return ret;
	}
	if (!inherit(&fresh, space))
		space->generation++;
	free_mappings(space->store, space->mappings, space->n);
	space->mappings = fresh.mappings;
	space->n = fresh.n;
	space->cap = fresh.cap;
	return 0;
}

static uint64_t bias_of(const struct mapping *mapping, const struct elf_segment *segment)
{
	/* The mapping's first byte is file_off, which the segment's svma and file_off place. */
	return mapping->avma_start - mapping->file_off + segment->file_off - segment->svma;
}

/*
 * The segment that a mapping shows. Where two segments fit a mapping equally well by file offset
 * (both in one page of the file), the address tells: a non-PIE lies where it says.
 */
static const struct elf_segment *pick_segment(const struct mapping *mapping,
					      const struct elf_image *image)
{
	const uint64_t size = mapping->avma_end - mapping->avma_start;
	const struct elf_segment *best = elf_image_segment_at(image, mapping->file_off, size);
	if (!best || elf_image_is_pie(image) || bias_of(mapping, best) == 0)
		return best;
	size_t n;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	for (size_t i = 0; i < n; i++)
		if (segments[i].exec && bias_of(mapping, &segments[i]) == 0 &&
		    segments[i].svma < mapping->avma_end &&
		    mapping->avma_start < segments[i].svma + segments[i].mem_size)
			return &segments[i];
	return best;
}

static void resolve(struct address_space *space, struct mapping *mapping)
{
	mapping->resolved = true;
	for (size_t i = 0; i < LINEAGE_MAX && !mapping->image && space->lineage[i]; i++) {
		mapping->opened_pid = space->lineage[i];
		mapping->image = image_store_get(space->store, mapping->opened_pid, mapping);
	}
	mapping->bias = mapping_is_anonymous(mapping) ? 0 : mapping->avma_start - mapping->file_off;
	if (!mapping->image)
		return;
	image_store_hold(space->store, mapping->image);
	mapping->segment = pick_segment(mapping, mapping->image);
	if (!mapping->segment)
		return;
	mapping->bias = bias_of(mapping, mapping->segment);
	mapping->rows = image_store_rows(space->store, mapping->opened_pid, mapping);
}

struct mapping *address_space_find(struct address_space *space, uint64_t avma)
{
	size_t at = space->last_found;
	if (at >= space->n || avma < space->mappings[at].avma_start ||
	    avma >= space->mappings[at].avma_end) {
		at = lower_bound(space, avma);
		if (at == space->n || avma < space->mappings[at].avma_start)
			return NULL;
		space->last_found = at;
	}
	struct mapping *mapping = &space->mappings[at];
	if (!mapping->resolved)
		resolve(space, mapping);
	return mapping;
}

bool address_space_code(struct address_space *space, uint64_t avma, void *out, size_t n)
{
	const struct mapping *mapping = address_space_find(space, avma);
	if (!mapping || !mapping->image || mapping->avma_end - avma < n)
		return false;
	return image_store_code(space->store, mapping->opened_pid, mapping,
				mapping->file_off + (avma - mapping->avma_start), out, n);
}

bool address_space_index(struct address_space *space, const struct mapping *mapping)
{
	return image_store_index(space->store, mapping->opened_pid, mapping);
}

size_t address_space_count(const struct address_space *space)
{
	return space->n;
}

uint64_t address_space_generation(const struct address_space *space)
{
	return space->generation;
}
