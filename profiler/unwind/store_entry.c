#include "store_entry.h"

#include "mapped_file.h"
#include "remote/eh_frame_make.h"

#include "base/cleanup.h"
#include "elf/debug_frame.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool file_key_read(int fd, struct file_key *out)
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

void store_entry_deinit(struct store_entry *entry)
{
	image_rows_destroy(entry->rows);
	elf_image_destroy(entry->image);
}

size_t store_entry_size_bytes(const struct store_entry *entry)
{
	return (entry->image ? elf_image_size_bytes(entry->image) : 0) +
	       (entry->rows ? image_rows_size_bytes(entry->rows) : 0);
}

size_t store_entry_spare_bytes(const struct store_entry *entry)
{
	return entry->rows && !image_rows_need_tables(entry->rows)
		       ? elf_image_tables_bytes(entry->image)
		       : 0;
}

void store_entry_drop_tables(struct store_entry *entry)
{
	if (entry->rows && image_rows_need_tables(entry->rows))
		return;
	elf_image_drop_tables(entry->image);
	entry->whole = entry->indexed = false;
}

/* Give an image the .debug_frame of its debug file. Return: false when there is none. */
static bool find_debug_frame(struct store_entry *entry, pid_t pid, const struct mapping *mapping)
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

/* Read dropped tables again. Return: false when the file is gone, or another one by now. */
static bool read_again(struct store_entry *entry, pid_t pid, const struct mapping *mapping)
{
	struct file_key key;
	if (mapping->kind == MAPPING_VDSO)
		return false;
	CP_CLEANUP(cp_close_fd) int fd = mapped_file_open(pid, mapping);
	if (fd < 0 || !file_key_read(fd, &key) || memcmp(&key, &entry->key, sizeof(key)) != 0 ||
	    elf_image_read_tables(entry->image, fd, mapping->path) != 0)
		return false;
	entry->whole = true;
	entry->indexed = false;
	if (entry->debug_frame)
		find_debug_frame(entry, pid, mapping);
	return true;
}

/*
 * The debug file is looked for where the binary says nothing about most of its code: of those that
 * describe their code no debug file says more.
 */
static bool make_rows(struct store_entry *entry, pid_t pid, const struct mapping *mapping)
{
	uint64_t size;
	if ((!entry->whole && !read_again(entry, pid, mapping)) ||
	    image_rows_create_piecemeal(entry->image, &entry->rows) != 0)
		return false;
	if (image_rows_cover(entry->rows, entry->image) || mapping->kind == MAPPING_VDSO ||
	    elf_image_debug_frame(entry->image, &size) || !find_debug_frame(entry, pid, mapping))
		return true;
	entry->debug_frame = true;
	struct image_rows *more;
	if (image_rows_create(entry->image, &more) != 0)
		return true;
	image_rows_destroy(entry->rows);
	entry->rows = more;
	return true;
}

bool store_entry_compile(struct store_entry *entry, pid_t pid, const struct mapping *mapping)
{
	if (!entry->rows && !entry->failed)
		entry->failed = !make_rows(entry, pid, mapping);
	return entry->rows != NULL;
}

bool store_entry_index(struct store_entry *entry, pid_t pid, const struct mapping *mapping)
{
	struct elf_eh_frame_hdr hdr;
	if (!entry->indexed) {
		const bool whole = entry->whole || read_again(entry, pid, mapping);
		entry->indexed = true;
		if (whole && eh_frame_make(entry->image) == 0)
			entry->whole = false;
	}
	return elf_image_eh_frame_hdr(entry->image, &hdr);
}
