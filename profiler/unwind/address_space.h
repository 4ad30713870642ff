/*
 * address_space.h - the executable mappings of one process, and the binaries behind them.
 *
 * A mapping knows its binary, so that an address in the process (avma) becomes an address in the
 * file (svma = avma - bias). Binaries are opened on the first look-up, shared between processes
 * through an image_store, and kept for as long as somebody has them mapped.
 *
 * Depends on: base, elf. Threads: one at a time.
 */
#ifndef CPROF_UNWIND_ADDRESS_SPACE_H
#define CPROF_UNWIND_ADDRESS_SPACE_H

#include "base/err.h"
#include "elf/elf_image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cfi_table;
struct image_store;

/** A store of binaries shared by all processes of a recording. Return: 0 or -ENOMEM. */
int image_store_create(struct image_store **out);
void image_store_destroy(struct image_store *store);

/** Memory held by all images: their unwind tables, and the rows compiled of them. */
size_t image_store_size_bytes(struct image_store *store);

/** Binaries whose tables could not be compiled: beyond the limit on memory, or gone by then. */
size_t image_store_skipped(const struct image_store *store);

enum mapping_kind {
	MAPPING_FILE,
	MAPPING_VDSO,
	MAPPING_MEMFD, /* a file without a name: a binary, or what a JIT has made */
	MAPPING_ANON,  /* no file behind it: JIT code, [heap], [stack], //anon */
};

/* Where a mapping's bytes can be read, and what they are. */
struct mapping_file {
	const char *path;                     /* as the kernel says it, with " (deleted)" cut off */
	uint64_t dev_major, dev_minor, inode; /* inode 0 = not a file */
	bool deleted;
};

struct mapping {
	uint64_t avma_start, avma_end; /* [start, end) */
	uint64_t file_off;
	enum mapping_kind kind;
	char *path; /* owned; never NULL */
	uint64_t dev_major, dev_minor, inode;
	bool deleted;
	/* filled by address_space_find() */
	bool resolved;
	pid_t opened_pid; /* whose /proc entry led to the file: the process, or who started it */
	const struct elf_image *image;     /* NULL: unreadable or not ELF */
	const struct elf_segment *segment; /* NULL: as above, or matches none */
	const struct cfi_table *rows;      /* compiled unwind information; NULL: none */
	uint64_t bias; /* avma - svma; without a segment avma - file offset, for MAPPING_ANON 0 */
	uint32_t
		user_id; /* for the owner of the address space: e.g. its module id + 1; 0 = unset */
};

/** True when nothing but the process itself says what lies there: after it was found. */
static inline bool mapping_is_anonymous(const struct mapping *mapping)
{
	return mapping->kind == MAPPING_ANON || (mapping->kind == MAPPING_MEMFD && !mapping->image);
}

struct address_space; /* of one process */

/** @store: borrowed; must outlive the address space. @pid: for /proc/PID look-ups. */
int address_space_create(struct image_store *store, pid_t pid, struct address_space **out);
void address_space_destroy(struct address_space *space);

/** A copy for a forked child. Return: 0 or -ENOMEM. */
int address_space_fork(const struct address_space *parent, pid_t pid, struct address_space **out);

/** Forget all mappings: an exec. */
void address_space_clear(struct address_space *space);

/**
 * Add an executable mapping; what it overlaps is cut or replaced, as mmap does.
 * The same mapping again, or a part of it, is a no-op. Return: 0 or -ENOMEM.
 */
int address_space_add(struct address_space *space, uint64_t avma_start, uint64_t avma_end,
		      uint64_t file_off, const struct mapping_file *file);

/**
 * Replace all mappings by what /proc/PID/maps says now (executable ones).
 * Return: 0; -ESRCH when the process is gone, -EACCES, -ENOMEM.
 */
int address_space_read_proc(struct address_space *space, struct cp_err *err);

/**
 * The mapping of an address, its binary opened if it can be.
 *
 * Opening tries /proc/PID/map_files (also deleted files), then /proc/PID/root + path, then the path
 * itself, then the same of the processes that it was forked from; the result must have the
 * mapping's device and inode.
 *
 * Return: NULL when no mapping holds @avma. Valid until the space changes.
 */
struct mapping *address_space_find(struct address_space *space, uint64_t avma);

/**
 * Code of the process, as the binary's file has it.
 *
 * Return: false when not all of [@avma, @avma + @n) can be had: JIT code, a file that is gone.
 */
bool address_space_code(struct address_space *space, uint64_t avma, void *out, size_t n);

/** As image_store_index(), for a mapping that address_space_find() gave. */
bool address_space_index(struct address_space *space, const struct mapping *mapping);

size_t address_space_count(const struct address_space *space);

/**
 * Changes when what was found out about an address may no longer hold: what was cached for another
 * number is void. A mapping where none was before does not change it, so "no mapping" must not be
 * cached.
 */
uint64_t address_space_generation(const struct address_space *space);

#endif
