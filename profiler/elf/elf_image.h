/*
 * elf_image.h - what a binary is: identity, segments, unwind tables, where its debug file lies.
 *
 * An image is read with pread into memory of ours, never mapped: a file that somebody truncates
 * while we look at it gives an error, not a SIGBUS. Everything in the file is validated. Only what
 * unwinding needs is read (program headers, notes, and the unwind tables, at most 64 MB each); the
 * symbolizer opens its files through libelf.
 *
 * The tables are what is large; once rows are compiled of them they can be dropped, and read again.
 *
 * Depends on: base, zlib. Threads: one at a time; what is known of an image never changes, but
 * its tables come and go.
 */
#ifndef CPROF_ELF_ELF_IMAGE_H
#define CPROF_ELF_ELF_IMAGE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_BUILD_ID_MAX = 64 };

struct elf_segment {             /* PT_LOAD */
	uint64_t svma, file_off; /* not rounded to pages */
	uint64_t file_size, mem_size;
	bool exec;
};

struct elf_build_id {
	uint8_t bytes[ELF_BUILD_ID_MAX];
	size_t n; /* 0 = none */
};

struct elf_image; /* opaque; accessors below */

/**
 * Read a binary from an open file, which is not kept.
 *
 * @name: for messages
 * Return: 0; -ENOEXEC: not an ELF file of this machine (class, byte order, e_machine);
 *         -EBADMSG: damaged; -errno of reading.
 */
int elf_image_open_fd(int fd, const char *name, struct elf_image **out, struct cp_err *err);

/** Read a binary from memory (the vDSO); @bytes is copied. */
int elf_image_open_bytes(const void *bytes, size_t n, const char *name, struct elf_image **out,
			 struct cp_err *err);

void elf_image_destroy(struct elf_image *image);

const struct elf_segment *elf_image_segments(const struct elf_image *image, size_t *n);
const struct elf_build_id *elf_image_build_id(const struct elf_image *image);

/** True for ET_DYN: loaded anywhere. */
bool elf_image_is_pie(const struct elf_image *image);

/** True for what Go's linker has made, by its note. */
bool elf_image_is_go(const struct elf_image *image);

/** The svma at which the kernel starts the program or its interpreter; 0 = none stated. */
uint64_t elf_image_entry(const struct elf_image *image);

/**
 * The segment that a mapping with file offset @file_off and @size bytes shows.
 *
 * The kernel maps whole pages, so @file_off may lie up to a page before the segment's. Executable
 * segments win over others; among them the one whose pages these are, else the largest overlap.
 * Return: NULL when none.
 */
const struct elf_segment *elf_image_segment_at(const struct elf_image *image, uint64_t file_off,
					       uint64_t size);

/**
 * Bytes of the unwind tables (.eh_frame and .eh_frame_hdr), which do not change while it runs.
 *
 * Return: a borrowed pointer to @size bytes at @svma, or NULL when not all of them are at hand.
 */
const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t svma, uint64_t size);

/**
 * The bytes of .eh_frame; what lies between may be hostile.
 *
 * @is_section: set to true when they are the section as its header states it; else they reach from
 *              its start or the first FDE that the index names to the end of the last
 * Return: a borrowed pointer, @svma and @size set; NULL when the image has none that is usable.
 */
const uint8_t *elf_image_eh_frame(const struct elf_image *image, uint64_t *svma, uint64_t *size,
				  bool *is_section);

/** The bytes of .debug_frame, inflated. Return: borrowed; NULL: none. */
const uint8_t *elf_image_debug_frame(const struct elf_image *image, uint64_t *size);

/* The binary search table of PT_GNU_EH_FRAME, as libunwind's remote tables want it. */
struct elf_eh_frame_hdr {
	uint64_t svma;       /* of .eh_frame_hdr */
	uint64_t table_svma; /* of the table, pairs of int32 relative to svma */
	uint64_t n_entries;
};

/**
 * Return: true and @out when the image has a usable table: sorted, of the encoding that all linkers
 * write, with every FDE it names at hand in elf_image_bytes().
 */
bool elf_image_eh_frame_hdr(const struct elf_image *image, struct elf_eh_frame_hdr *out);

/**
 * Give the image the .debug_frame of a separate debug file.
 *
 * @bytes: of malloc(); now the image's
 */
void elf_image_set_debug_frame(struct elf_image *image, uint8_t *bytes, uint64_t size);

/**
 * Replace the tables by an index with its .eh_frame in one piece, made by the caller.
 *
 * @bytes: of malloc(), at hdr->svma; now the image's
 */
void elf_image_set_index(struct elf_image *image, const struct elf_eh_frame_hdr *hdr,
			 uint8_t *bytes, uint64_t size);

/** Free the bytes of all tables. */
void elf_image_drop_tables(struct elf_image *image);

/**
 * Read the tables again, from the file that the image was read from.
 *
 * Return: 0; as elf_image_open_fd(), the image then is as before.
 */
int elf_image_read_tables(struct elf_image *image, int fd, const char *name);

/** Memory the tables' bytes take. */
size_t elf_image_tables_bytes(const struct elf_image *image);

/** Memory the image holds, with its tables. */
size_t elf_image_size_bytes(const struct elf_image *image);

/** Lower-case hex of a build-id into @buf of 2 * ELF_BUILD_ID_MAX + 1; "" when it has none. */
const char *elf_build_id_hex(const struct elf_build_id *id, char *buf);

#endif
