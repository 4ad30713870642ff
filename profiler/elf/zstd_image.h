/*
 * zstd_image.h - the debug sections of a file, those compressed by zstd inflated, as an ELF file in
 * memory.
 *
 * libelf before 0.189 inflates zlib only, and libdw then takes a file with zstd sections for one
 * without debug information.
 *
 * Depends on: inflate.h, libelf. Threads: any.
 */
#ifndef CPROF_ELF_ZSTD_IMAGE_H
#define CPROF_ELF_ZSTD_IMAGE_H

#include <libelf.h>
#include <stddef.h>
#include <stdint.h>

struct zstd_image {
	uint8_t *bytes; /* an ELF file of debug sections only; NULL = none */
	size_t size;
};

/**
 * Make the image, when the file has a debug section compressed by zstd.
 *
 * Sections that are damaged are left out of it.
 * @max: of the image's size
 * Return: 0; -ENOENT: no such section, or not a file of this machine's class; -EFBIG; -ENOMEM.
 */
int zstd_image_make(Elf *elf, uint64_t max, struct zstd_image *out);
void zstd_image_deinit(struct zstd_image *image);

/** What the debug sections of a file take when they are inflated, as their headers claim. */
uint64_t zstd_image_claimed_bytes(Elf *elf);

#endif
