/*
 * image_rows.h - the unwind rows of one binary, compiled from its .eh_frame.
 *
 * Depends on: elf, rows. Threads: immutable once made.
 */
#ifndef CPROF_UNWIND_IMAGE_ROWS_H
#define CPROF_UNWIND_IMAGE_ROWS_H

#include "elf/elf_image.h"
#include "rows/cfi_rows.h"

struct image_rows;

/** Return: 0, also for a binary without usable tables: it gets an empty one; or -ENOMEM. */
int image_rows_create(const struct elf_image *image, struct image_rows **out);
void image_rows_destroy(struct image_rows *rows);

const struct cfi_table *image_rows_table(const struct image_rows *rows);

/** Memory held. */
size_t image_rows_size_bytes(const struct image_rows *rows);

#endif
