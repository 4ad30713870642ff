/*
 * image_rows.h - the unwind rows of one binary, compiled from its .eh_frame, and for code that this
 * says nothing about from its .debug_frame.
 *
 * Depends on: elf, rows. Threads: one at a time; immutable once made, but for those
 * compiled piece by piece.
 */
#ifndef CPROF_UNWIND_IMAGE_ROWS_H
#define CPROF_UNWIND_IMAGE_ROWS_H

#include "elf/elf_image.h"
#include "rows/cfi_rows.h"

struct image_rows;

/** Return: 0, also for a binary without usable tables: it gets an empty one; or -ENOMEM. */
int image_rows_create(const struct elf_image *image, struct image_rows **out);

/**
 * The same, but of a large binary functions are compiled when they are first asked for: of a
 * library of 100 MB a program uses a few percent, and to compile all of it takes as long as a ring
 * of the kernel takes to overflow.
 *
 * @image: has to outlive the rows, and to keep its tables where image_rows_need_tables() says so
 */
int image_rows_create_piecemeal(const struct elf_image *image, struct image_rows **out);
bool image_rows_need_tables(const struct image_rows *rows);

void image_rows_destroy(struct image_rows *rows);

const struct cfi_table *image_rows_table(const struct image_rows *rows);

/**
 * True when the rows say something about at least half of the code. Compilers describe all or
 * none of it; what is always there are the few functions of the C library's start files.
 */
bool image_rows_cover(const struct image_rows *rows, const struct elf_image *image);

typedef enum cfi_status image_rows_visit_fn(void *ctx, const struct cfi_fde *fde);

/** Call @visit for each function that the image's tables describe, .eh_frame's first. */
enum cfi_status image_rows_visit(const struct elf_image *image, image_rows_visit_fn *visit,
				 void *ctx);

/** Memory held. */
size_t image_rows_size_bytes(const struct image_rows *rows);

#endif
