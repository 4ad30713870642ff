#include "image_store.h"

#include "image_rows.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/index.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct file_key {
	uint64_t dev, inode, mtime_s, mtime_ns, size;
};

struct entry {
	struct file_key key;
	struct elf_image *image; /* owned; NULL: not a binary of this machine, or damaged */
	struct image_rows *rows; /* owned; NULL: not asked for yet */
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
	struct cp_index index; /* of entries, by key */
	struct elf_image *vdso;
	struct image_rows *vdso_rows;
	bool vdso_tried;
	size_t size_bytes;
	struct code_page code[CODE_PAGES];
};

int image_store_create(struct image_store **out)
{
	struct image_store *store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	cp_index_init(&store->index);
	*out = store;
	return 0;
}

void image_store_destroy(struct image_store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < store->n; i++) {
		image_rows_destroy(store->entries[i].rows);
		elf_image_destroy(store->entries[i].image);
	}
	image_rows_destroy(store->vdso_rows);
	elf_image_destroy(store->vdso);
	free(store->entries);
	cp_index_deinit(&store->index);
	free(store);
}

size_t image_store_size_bytes(const struct image_store *store)
{
	return store->size_bytes + store->cap * sizeof(*store->entries);
}

/*
 * The vDSO of the target is ours: the kernel has one image for all 64-bit processes. Its size is
 * not given anywhere; its one loaded segment ends where its content does.
 */
static const struct elf_image *get_vdso(struct image_store *store)
{
	if (store->vdso_tried)
		return store->vdso;
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
	if (elf_image_open_bytes(bytes, size, "[vdso]", &store->vdso, NULL) == 0)
		store->size_bytes += elf_image_size_bytes(store->vdso);
	return store->vdso;
}

/*
 * True when @st is the file that was mapped. The kernel's maps and stat() name the same inode, but
 * on btrfs and overlayfs they give different devices (stat's is a made-up one per subvolume or
 * layer); so there an equal inode of a file that reaches as far as the mapping must do.
 *
 * @link: where /proc/PID/map_files points for exactly this mapping, or NULL. On a file system that
 *        makes up inodes too it still names the right file.
 */
static bool is_mapped_file(const struct mapping *mapping, const struct stat *st, const char *link)
{
	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size <= mapping->file_off)
		return false;
	const bool same_dev =
		major(st->st_dev) == mapping->dev_major && minor(st->st_dev) == mapping->dev_minor;
	if ((uint64_t)st->st_ino == mapping->inode)
		return true;
	return !same_dev && link && strcmp(link, mapping->path) == 0;
}

/* Open @path if it is the mapped file. Return: a descriptor, or -1. */
static int open_if_mapped(const char *path, const struct mapping *mapping, const char *link)
{
	struct stat st;
	/* looked at first: opening a device or a FIFO can do things */
	if (stat(path, &st) < 0 || !is_mapped_file(mapping, &st, link))
		return -1;
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_mapped_file(mapping, &st, link))
		return -1;
	const int opened = fd;
	fd = -1;
	return opened;
}

static int open_mapped_file(pid_t pid, const struct mapping *mapping)
{
	char path[PATH_MAX + 64], link[PATH_MAX];
	/* The mapping itself: right also when the file was deleted or replaced. Needs
	 * CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc(5)). */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)mapping->avma_start, (unsigned long long)mapping->avma_end);
	const ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n >= 0)
		link[n] = '\0';
	int fd = open_if_mapped(path, mapping, n >= 0 ? link : NULL);
	if (fd >= 0)
		return fd;
	/* The deleted executable of a process of ours, without that capability. */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open_if_mapped(path, mapping, NULL);
	if (fd >= 0)
		return fd;
	/* Through the process's own mount namespace; then ours, for one that is gone. */
	if (snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, mapping->path) <
	    (int)sizeof(path)) {
		fd = open_if_mapped(path, mapping, NULL);
		if (fd >= 0)
			return fd;
	}
	return open_if_mapped(mapping->path, mapping, NULL);
}

static bool key_equal(const void *key, const void *owner, uint32_t id)
{
	const struct entry *entries = owner;
	return memcmp(key, &entries[id].key, sizeof(entries[id].key)) == 0;
}

static const struct elf_image *get_file(struct image_store *store, int fd, const char *path)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	const struct file_key key = {
		.dev = st.st_dev,
		.inode = st.st_ino,
		.mtime_s = (uint64_t)st.st_mtim.tv_sec,
		.mtime_ns = (uint64_t)st.st_mtim.tv_nsec,
		.size = (uint64_t)st.st_size,
	};
	const uint64_t hash = cp_hash_bytes(&key, sizeof(key));
	const uint32_t known = cp_index_find(&store->index, hash, key_equal, &key, store->entries);
	if (known != CP_INDEX_NONE)
		return store->entries[known].image;
	struct elf_image *image = NULL;
	if (elf_image_open_fd(fd, path, &image, NULL) != 0)
		image = NULL;
	struct entry *entry = CP_ARRAY_PUSH(store->entries, store->n, store->cap);
	if (!entry) {
		elf_image_destroy(image);
		return NULL;
	}
	*entry = (struct entry){.key = key, .image = image};
	if (cp_index_add(&store->index, hash, (uint32_t)(store->n - 1)) != 0) {
		store->n--;
		elf_image_destroy(image);
		return NULL;
	}
	if (image)
		store->size_bytes += elf_image_size_bytes(image);
	return image;
}

const struct elf_image *image_store_get(struct image_store *store, pid_t pid,
					const struct mapping *mapping)
{
	if (mapping->kind == MAPPING_VDSO)
		return get_vdso(store);
	if (mapping->kind != MAPPING_FILE && mapping->kind != MAPPING_MEMFD)
		return NULL;
	CP_CLEANUP(cp_close_fd) int fd = open_mapped_file(pid, mapping);
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
	CP_CLEANUP(cp_close_fd) int fd = open_mapped_file(pid, mapping);
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

const struct cfi_table *image_store_rows(struct image_store *store, const struct elf_image *image)
{
	struct image_rows **rows = image == store->vdso ? &store->vdso_rows : NULL;
	for (size_t i = 0; i < store->n && !rows; i++)
		if (store->entries[i].image == image)
			rows = &store->entries[i].rows;
	if (!rows)
		return NULL;
	if (!*rows && image_rows_create(image, rows) == 0)
		store->size_bytes += image_rows_size_bytes(*rows);
	return *rows ? image_rows_table(*rows) : NULL;
}
