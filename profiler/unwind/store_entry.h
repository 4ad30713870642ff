/*
 * store_entry.h - one binary of the store: what it is, its unwind tables and what they compile to.
 *
 * Tables are whole (what the files have), dropped, or indexed (as libunwind wants them, of which no
 * rows can be made). Dropped ones are read again from the same file, as long as that is there.
 *
 * Depends on: base, elf, address_space.h, image_rows.h. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_STORE_ENTRY_H
#define CPROF_UNWIND_STORE_ENTRY_H

#include "address_space.h"
#include "image_rows.h"

/* A file as it was at one time: rewritten, it is another one. */
struct file_key {
	uint64_t dev, inode, mtime_s, mtime_ns, size;
};

bool file_key_read(int fd, struct file_key *out);

struct store_entry {
	struct file_key key;
	struct elf_image *image; /* owned; NULL: not a binary of this machine, or damaged */
	struct image_rows *rows; /* owned; NULL: not compiled (yet) */
	size_t n_users;          /* mappings */
	size_t bytes;            /* of both, as counted in the store */
	bool whole;              /* the tables are */
	bool indexed;            /* the tables are, if they can be */
	bool debug_frame;        /* of its debug file is among the tables */
	bool skipped;            /* counted by the store */
	bool failed;             /* to be compiled: not tried again */
};

void store_entry_deinit(struct store_entry *entry);

/** Memory held by the image and its rows. */
size_t store_entry_size_bytes(const struct store_entry *entry);

/** Bytes of its tables that can be dropped: once the rows are there. */
size_t store_entry_spare_bytes(const struct store_entry *entry);
void store_entry_drop_tables(struct store_entry *entry);

/**
 * Make the rows, if they are not there, of the tables; read again if need be.
 *
 * @mapping: of process @pid, shows the binary's file
 * Return: true and entry->rows; false: out of memory, or the file is gone; entry->failed is set.
 */
bool store_entry_compile(struct store_entry *entry, pid_t pid, const struct mapping *mapping);

/** Have the tables as libunwind wants them. Return: false when that cannot be. */
bool store_entry_index(struct store_entry *entry, pid_t pid, const struct mapping *mapping);

#endif
