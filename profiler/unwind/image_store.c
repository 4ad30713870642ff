#include "image_store.h"

#include "code_pages.h"
#include "image_rows.h"
#include "mapped_file.h"
#include "store_entry.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/index.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

/*
 * Bounds on memory. A recording of a whole machine meets a few hundred binaries, whose rows take
 * some 50 MB; one that makes and runs new binaries all the time has no end of them.
 */
enum {
	/* Of all rows and tables. Beyond it what nobody has mapped is forgotten, then of a binary
	 * nothing is kept but what it is: its code is unwound by frame pointer, and counted. */
	BYTES_MAX = 512 << 20,
	/* Of the tables themselves, which only libunwind needs once the rows are there: a few dozen
	 * usual libraries. Beyond it they are dropped, and read again should it come to that. */
	SPARE_BYTES_MAX = 16 << 20,
	/* Binaries, used or not, before those that nobody has mapped are looked for. */
	ENTRIES_KEPT = 4096,
};

struct image_store {
	struct store_entry *entries;
	size_t n, cap;
	struct cp_index index;    /* of entries, by key */
	struct cp_index by_image; /* the same, by address of the image; of those that have one */
	size_t sweep_at;          /* entries: then forget those without users */
	size_t bytes_max;
	struct store_entry vdso;
	bool vdso_tried;
	size_t size_bytes;
	size_t n_skipped;
	struct code_pages code;
};

int image_store_create(struct image_store **out)
{
	struct image_store *store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	cp_index_init(&store->index);
	cp_index_init(&store->by_image);
	store->sweep_at = ENTRIES_KEPT;
	store->bytes_max = BYTES_MAX;
	*out = store;
	return 0;
}

void image_store_destroy(struct image_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->n; i++)
		store_entry_deinit(&store->entries[i]);
	store_entry_deinit(&store->vdso);
	free(store->entries);
	cp_index_deinit(&store->index);
	cp_index_deinit(&store->by_image);
	free(store);
}

/* What an entry holds has changed. */
static void recount(struct image_store *store, struct store_entry *entry)
{
	store->size_bytes -= entry->bytes;
	entry->bytes = store_entry_size_bytes(entry);
	store->size_bytes += entry->bytes;
}

size_t image_store_size_bytes(struct image_store *store)
{
	/* tables that are compiled piece by piece have grown */
	for (size_t i = 0; i < store->n; i++)
		recount(store, &store->entries[i]);
	return store->size_bytes + store->cap * sizeof(*store->entries);
}

size_t image_store_skipped(const struct image_store *store)
{
	return store->n_skipped;
}

void image_store_set_limit(struct image_store *store, size_t bytes_max)
{
	store->bytes_max = bytes_max;
	if (store->sweep_at > store->n)
		store->sweep_at = store->n + 1;
}

static uint64_t image_hash(const struct elf_image *image)
{
	return cp_hash_mix((uint64_t)(uintptr_t)image, 0);
}

static bool image_equal(const void *key, const void *owner, uint32_t id)
{
	const struct store_entry *entries = owner;
	return entries[id].image == key;
}

static struct store_entry *entry_of(struct image_store *store, const struct elf_image *image)
{
	if (!image)
		return NULL;
	if (image == store->vdso.image)
		return &store->vdso;
	const uint32_t id = cp_index_find(&store->by_image, image_hash(image), image_equal, image,
					  store->entries);
	return id == CP_INDEX_NONE ? NULL : &store->entries[id];
}

void image_store_hold(struct image_store *store, const struct elf_image *image)
{
	struct store_entry *entry = entry_of(store, image);
	if (entry)
		entry->n_users++;
}

void image_store_release(struct image_store *store, const struct elf_image *image)
{
	struct store_entry *entry = entry_of(store, image);
	if (entry && entry->n_users > 0)
		entry->n_users--;
}

static int add_to_indexes(struct image_store *store, uint32_t id)
{
	const struct store_entry *entry = &store->entries[id];
	const uint64_t hash = cp_hash_bytes(&entry->key, sizeof(entry->key));
	if (cp_index_add(&store->index, hash, id) != 0)
		return -ENOMEM;
	return entry->image ? cp_index_add(&store->by_image, image_hash(entry->image), id) : 0;
}

/* Forget the binaries that nobody has mapped. */
static void sweep(struct image_store *store)
{
	size_t n = 0;
	code_pages_forget(&store->code);
	for (size_t i = 0; i < store->n; i++) {
		struct store_entry *entry = &store->entries[i];
		if (entry->n_users > 0) {
			store->entries[n++] = *entry;
			continue;
		}
		store->size_bytes -= entry->bytes;
		store_entry_deinit(entry);
	}
	store->n = n;
	store->sweep_at = 2 * n > ENTRIES_KEPT ? 2 * n : ENTRIES_KEPT;
	cp_index_clear(&store->index);
	cp_index_clear(&store->by_image);
	/* the indexes have held more */
	for (size_t i = 0; i < n; i++)
		add_to_indexes(store, (uint32_t)i);
}

/* Beyond the limit, even without what nobody has mapped? */
static bool is_full(struct image_store *store)
{
	if (image_store_size_bytes(store) > store->bytes_max)
		sweep(store);
	return store->size_bytes > store->bytes_max;
}

static size_t spare_bytes(const struct image_store *store)
{
	size_t bytes = 0;
	for (size_t i = 0; i < store->n; i++)
		bytes += store_entry_spare_bytes(&store->entries[i]);
	return bytes;
}

static void drop_tables(struct image_store *store, struct store_entry *entry)
{
	store_entry_drop_tables(entry);
	recount(store, entry);
}

/*
 * The vDSO of the target is ours: the kernel has one image for all 64-bit processes. Its size is
 * not given anywhere; its one loaded segment ends where its content does.
 */
static const struct elf_image *get_vdso(struct image_store *store)
{
	if (store->vdso_tried)
		return store->vdso.image;
	store->vdso_tried = true;
	const uint8_t *bytes = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	if (!bytes)
		return NULL;
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)bytes;
	const Elf64_Phdr *phdrs = (const Elf64_Phdr *)(bytes + ehdr->e_phoff);
	size_t size = 0;
	for (size_t i = 0; i < ehdr->e_phnum; i++)
		if (phdrs[i].p_type == PT_LOAD && phdrs[i].p_offset + phdrs[i].p_filesz > size)
			size = phdrs[i].p_offset + phdrs[i].p_filesz;
	if (elf_image_open_bytes(bytes, size, "[vdso]", &store->vdso.image, NULL) != 0)
		store->vdso.image = NULL;
	store->vdso.whole = true;
	recount(store, &store->vdso);
	return store->vdso.image;
}

static bool key_equal(const void *key, const void *owner, uint32_t id)
{
	const struct store_entry *entries = owner;
	return memcmp(key, &entries[id].key, sizeof(entries[id].key)) == 0;
}

static const struct elf_image *add_file(struct image_store *store, const struct file_key *key,
					int fd, const char *path)
{
	if (store->n >= store->sweep_at)
		sweep(store);
	struct elf_image *image = NULL;
	if (elf_image_open_fd(fd, path, &image, NULL) != 0)
		image = NULL;
	struct store_entry *entry = CP_ARRAY_PUSH(store->entries, store->n, store->cap);
	if (!entry) {
		elf_image_destroy(image);
		return NULL;
	}
	*entry = (struct store_entry){.key = *key, .image = image, .whole = true};
	if (add_to_indexes(store, (uint32_t)(store->n - 1)) != 0) {
		/* the index may hold its number: it stays, as one that is no binary */
		entry->image = NULL;
		elf_image_destroy(image);
		return NULL;
	}
	recount(store, entry);
	if (image && store->size_bytes > store->bytes_max)
		drop_tables(store, entry);
	return image;
}

static const struct elf_image *get_file(struct image_store *store, int fd, const char *path)
{
	struct file_key key;
	if (!file_key_read(fd, &key))
		return NULL;
	const uint64_t hash = cp_hash_bytes(&key, sizeof(key));
	const uint32_t known = cp_index_find(&store->index, hash, key_equal, &key, store->entries);
	if (known != CP_INDEX_NONE)
		return store->entries[known].image;
	return add_file(store, &key, fd, path);
}

const struct elf_image *image_store_get(struct image_store *store, pid_t pid,
					const struct mapping *mapping)
{
	if (mapping->kind == MAPPING_VDSO)
		return get_vdso(store);
	if (mapping->kind != MAPPING_FILE && mapping->kind != MAPPING_MEMFD)
		return NULL;
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(pid, mapping);
	return fd < 0 ? NULL : get_file(store, fd, mapping->path);
}

struct open_call {
	struct image_store *store;
	pid_t pid;
	const struct mapping *mapping;
};

/* The file that the mapping's image is of. */
static int open_same(void *ctx)
{
	const struct open_call *call = ctx;
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(call->pid, call->mapping);
	if (fd < 0 || get_file(call->store, fd, call->mapping->path) != call->mapping->image)
		return -1;
	const int same = fd;
	fd = -1;
	return same;
}

bool image_store_code(struct image_store *store, pid_t pid, const struct mapping *mapping,
		      uint64_t file_off, void *out, size_t n)
{
	struct open_call call = {store, pid, mapping};
	const struct code_file file = {
		.image = mapping->image, .pid = pid, .open = open_same, .ctx = &call};
	return mapping->kind != MAPPING_VDSO &&
	       code_pages_read(&store->code, &file, file_off, out, n);
}

static void skip(struct image_store *store, struct store_entry *entry)
{
	store->n_skipped += !entry->skipped;
	entry->skipped = true;
	drop_tables(store, entry);
}

const struct cfi_table *image_store_rows(struct image_store *store, pid_t pid,
					 const struct mapping *mapping)
{
	struct store_entry *entry = entry_of(store, mapping->image);
	if (!entry || entry->failed)
		return NULL;
	if (entry->rows)
		return image_rows_table(entry->rows);
	const bool full = mapping->kind != MAPPING_VDSO && is_full(store);
	entry = entry_of(store, mapping->image); /* held, so it is still there, but has moved */
	if (!entry)
		return NULL;
	if (full || !store_entry_compile(entry, pid, mapping)) {
		skip(store, entry);
		return NULL;
	}
	recount(store, entry);
	if (mapping->kind != MAPPING_VDSO && spare_bytes(store) > SPARE_BYTES_MAX)
		drop_tables(store, entry);
	return image_rows_table(entry->rows);
}

bool image_store_index(struct image_store *store, pid_t pid, const struct mapping *mapping)
{
	struct store_entry *entry = entry_of(store, mapping->image);
	if (!entry || (!entry->whole && !entry->indexed && store->size_bytes > store->bytes_max))
		return false;
	const bool has = store_entry_index(entry, pid, mapping);
	recount(store, entry);
	return has;
}
