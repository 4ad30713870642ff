#include "image_store.h"

#include "image_rows.h"
#include "mapped_file.h"
#include "remote/eh_frame_make.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/index.h"
#include "elf/debug_frame.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

struct file_key {
	uint64_t dev, inode, mtime_s, mtime_ns, size;
};

/*
 * Bounds on memory. A recording of a whole machine meets a few hundred binaries, whose rows take
 * some 50 MB; one that makes and runs new binaries all the time has no end of them.
 */
enum {
	/* Of all rows and tables. Beyond it what nobody has mapped is forgotten, then nothing is
	 * compiled any more: such code is unwound by frame pointer, and counted. */
	BYTES_MAX = 512 << 20,
	/* Of the tables themselves, which only libunwind needs once the rows are there: a few dozen
	 * usual libraries. Beyond it they are dropped, and read again should it come to that. */
	KEPT_TABLES_BYTES_MAX = 16 << 20,
	/* Binaries, used or not, before those that nobody has mapped are looked for. */
	ENTRIES_KEPT = 4096,
};

struct entry {
	struct file_key key;
	struct elf_image *image; /* owned; NULL: not a binary of this machine, or damaged */
	struct image_rows *rows; /* owned; NULL: not compiled (yet) */
	size_t n_users;          /* mappings */
	size_t bytes;            /* of both, as counted in the store */
	bool refused;            /* counted as skipped */
	bool debug_frame;        /* of its debug file is among its tables */
	bool indexed;            /* its tables are as libunwind wants them */
};

enum { CODE_PAGES = 32, CODE_PAGE_BYTES = 4096 };

/* A page of a binary's file: what is looked at is close together. */
struct code_page {
	const struct elf_image *image; /* NULL = empty */
	uint64_t file_off;
	size_t n; /* 0: it could not be read */
	uint8_t bytes[CODE_PAGE_BYTES];
};

struct image_store {
	struct entry *entries;
	size_t n, cap;
	struct cp_index index;    /* of entries, by key */
	struct cp_index by_image; /* the same, by address of the image; of those that have one */
	size_t sweep_at;          /* entries: then forget those without users */
	size_t bytes_max;
	struct entry vdso;
	bool vdso_tried;
	size_t size_bytes;
	size_t kept_tables_bytes;
	size_t n_skipped;
	struct code_page code[CODE_PAGES];
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

static void free_entry(struct entry *entry)
{
	image_rows_destroy(entry->rows);
	elf_image_destroy(entry->image);
}

void image_store_destroy(struct image_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->n; i++)
		free_entry(&store->entries[i]);
	free_entry(&store->vdso);
	free(store->entries);
	cp_index_deinit(&store->index);
	cp_index_deinit(&store->by_image);
	free(store);
}

/* What an entry holds has changed. */
static void recount(struct image_store *store, struct entry *entry)
{
	store->size_bytes -= entry->bytes;
	entry->bytes = entry->image ? elf_image_size_bytes(entry->image) : 0;
	if (entry->rows)
		entry->bytes += image_rows_size_bytes(entry->rows);
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
	const struct entry *entries = owner;
	return entries[id].image == key;
}

static struct entry *entry_of(struct image_store *store, const struct elf_image *image)
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
	struct entry *entry = entry_of(store, image);
	if (entry)
		entry->n_users++;
}

void image_store_release(struct image_store *store, const struct elf_image *image)
{
	struct entry *entry = entry_of(store, image);
	if (entry && entry->n_users > 0)
		entry->n_users--;
}

static int add_to_indexes(struct image_store *store, uint32_t id)
{
	const struct entry *entry = &store->entries[id];
	const uint64_t hash = cp_hash_bytes(&entry->key, sizeof(entry->key));
	if (cp_index_add(&store->index, hash, id) != 0)
		return -ENOMEM;
	return entry->image ? cp_index_add(&store->by_image, image_hash(entry->image), id) : 0;
}

/* Forget the binaries that nobody has mapped. */
static void sweep(struct image_store *store)
{
	size_t n = 0;
	for (size_t i = 0; i < CODE_PAGES; i++)
		store->code[i].image = NULL; /* another one can get the same address */
	for (size_t i = 0; i < store->n; i++) {
		struct entry *entry = &store->entries[i];
		if (entry->n_users > 0) {
			store->entries[n++] = *entry;
			continue;
		}
		store->size_bytes -= entry->bytes;
		free_entry(entry);
	}
	store->n = n;
	store->sweep_at = 2 * n > ENTRIES_KEPT ? 2 * n : ENTRIES_KEPT;
	cp_index_clear(&store->index);
	cp_index_clear(&store->by_image);
	/* the indexes have held more */
	for (size_t i = 0; i < n; i++)
		add_to_indexes(store, (uint32_t)i);
	for (size_t i = 0; i < CODE_PAGES; i++)
		store->code[i].image = NULL;
	store->kept_tables_bytes = 0;
	for (size_t i = 0; i < n; i++)
		if (store->entries[i].rows && !image_rows_need_tables(store->entries[i].rows))
			store->kept_tables_bytes += elf_image_tables_bytes(store->entries[i].image);
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
	recount(store, &store->vdso);
	return store->vdso.image;
}

static bool key_equal(const void *key, const void *owner, uint32_t id)
{
	const struct entry *entries = owner;
	return memcmp(key, &entries[id].key, sizeof(entries[id].key)) == 0;
}

static bool read_key(int fd, struct file_key *out)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return false;
	*out = (struct file_key){
		.dev = st.st_dev,
		.inode = st.st_ino,
		.mtime_s = (uint64_t)st.st_mtim.tv_sec,
		.mtime_ns = (uint64_t)st.st_mtim.tv_nsec,
		.size = (uint64_t)st.st_size,
	};
	return true;
}

static const struct elf_image *add_file(struct image_store *store, const struct file_key *key,
					int fd, const char *path)
{
	if (store->n >= store->sweep_at)
		sweep(store);
	struct elf_image *image = NULL;
	if (elf_image_open_fd(fd, path, &image, NULL) != 0)
		image = NULL;
	struct entry *entry = CP_ARRAY_PUSH(store->entries, store->n, store->cap);
	if (!entry) {
		elf_image_destroy(image);
		return NULL;
	}
	*entry = (struct entry){.key = *key, .image = image};
	if (add_to_indexes(store, (uint32_t)(store->n - 1)) != 0) {
		/* the index may hold its number: it stays, as one that is no binary */
		entry->image = NULL;
		elf_image_destroy(image);
		return NULL;
	}
	recount(store, entry);
	return image;
}

static const struct elf_image *get_file(struct image_store *store, int fd, const char *path)
{
	struct file_key key;
	if (!read_key(fd, &key))
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

/* The page that holds @file_off, read if it is not at hand. */
static const struct code_page *get_page(struct image_store *store, pid_t pid,
					const struct mapping *mapping, uint64_t file_off)
{
	file_off -= file_off % CODE_PAGE_BYTES;
	const uint64_t hash = cp_hash_mix((uint64_t)(uintptr_t)mapping->image, file_off);
	struct code_page *page = &store->code[hash % CODE_PAGES];
	if (page->image == mapping->image && page->file_off == file_off)
		return page;
	page->image = mapping->image;
	page->file_off = file_off;
	page->n = 0;
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(pid, mapping);
	if (fd < 0 || get_file(store, fd, mapping->path) != mapping->image)
		return page;
	const ssize_t n = pread(fd, page->bytes, sizeof(page->bytes), (off_t)file_off);
	page->n = n > 0 ? (size_t)n : 0;
	return page;
}

bool image_store_code(struct image_store *store, pid_t pid, const struct mapping *mapping,
		      uint64_t file_off, void *out, size_t n)
{
	uint8_t *to = out;
	if (mapping->kind == MAPPING_VDSO)
		return false;
	while (n > 0) {
		const struct code_page *page = get_page(store, pid, mapping, file_off);
		const size_t at = (size_t)(file_off % CODE_PAGE_BYTES);
		if (at >= page->n)
			return false;
		const size_t part = n < page->n - at ? n : page->n - at;
		memcpy(to, page->bytes + at, part);
		to += part;
		file_off += part;
		n -= part;
	}
	return true;
}

/* Give an image the .debug_frame of its debug file. Return: false when there is none. */
static bool find_debug_frame(struct entry *entry, pid_t pid, const struct mapping *mapping)
{
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(pid, mapping);
	char root[64];
	uint8_t *bytes;
	uint64_t n;
	snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	const struct debug_frame_search search = {
		.fd = fd,
		.path = mapping->path,
		.root = root,
		.build_id = elf_image_build_id(entry->image),
	};
	if (fd < 0 || debug_frame_find(&search, &bytes, &n) != 0)
		return false;
	elf_image_set_debug_frame(entry->image, bytes, n);
	return true;
}

/*
 * The debug file is looked for where the binary says nothing about most of its code: to look takes
 * some 30 us for each binary, and of those that describe their code no debug file says more.
 */
static void compile(struct entry *entry, pid_t pid, const struct mapping *mapping)
{
	uint64_t size;
	if (image_rows_create_piecemeal(entry->image, &entry->rows) != 0)
		return;
	if (image_rows_cover(entry->rows, entry->image) || mapping->kind == MAPPING_VDSO ||
	    elf_image_debug_frame(entry->image, &size) || !find_debug_frame(entry, pid, mapping))
		return;
	entry->debug_frame = true;
	struct image_rows *more;
	if (image_rows_create(entry->image, &more) != 0)
		return;
	image_rows_destroy(entry->rows);
	entry->rows = more;
}

const struct cfi_table *image_store_rows(struct image_store *store, pid_t pid,
					 const struct mapping *mapping)
{
	struct entry *entry = entry_of(store, mapping->image);
	if (!entry)
		return NULL;
	if (entry->rows)
		return image_rows_table(entry->rows);
	if (image_store_size_bytes(store) > store->bytes_max)
		sweep(store);
	entry = entry_of(store, mapping->image); /* held, so it is still there, but has moved */
	if (!entry || store->size_bytes > store->bytes_max) {
		store->n_skipped += entry && !entry->refused;
		if (entry)
			entry->refused = true;
		return NULL;
	}
	compile(entry, pid, mapping);
	const size_t tables_bytes = elf_image_tables_bytes(entry->image);
	if (entry->rows && !image_rows_need_tables(entry->rows) && mapping->kind != MAPPING_VDSO &&
	    store->kept_tables_bytes + tables_bytes > KEPT_TABLES_BYTES_MAX)
		elf_image_drop_tables(entry->image);
	else if (!entry->rows || !image_rows_need_tables(entry->rows))
		store->kept_tables_bytes += tables_bytes;
	recount(store, entry);
	return entry->rows ? image_rows_table(entry->rows) : NULL;
}

/* Read dropped tables again. Return: false when the file is gone, or another one by now. */
static bool read_again(struct entry *entry, pid_t pid, const struct mapping *mapping)
{
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(pid, mapping);
	struct file_key key;
	if (fd < 0 || !read_key(fd, &key) || memcmp(&key, &entry->key, sizeof(key)) != 0 ||
	    elf_image_read_tables(entry->image, fd, mapping->path) != 0)
		return false;
	if (entry->debug_frame)
		find_debug_frame(entry, pid, mapping);
	return true;
}

bool image_store_index(struct image_store *store, pid_t pid, const struct mapping *mapping)
{
	struct entry *entry = entry_of(store, mapping->image);
	struct elf_eh_frame_hdr hdr;
	if (!entry)
		return false;
	if (!entry->indexed) {
		entry->indexed = true;
		if (elf_image_tables_bytes(entry->image) == 0 &&
		    (mapping->kind == MAPPING_VDSO || !read_again(entry, pid, mapping)))
			return false;
		eh_frame_make(entry->image);
		recount(store, entry);
	}
	return elf_image_eh_frame_hdr(entry->image, &hdr);
}
