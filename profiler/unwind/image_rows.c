#include "image_rows.h"

#include <errno.h>
#include <stdlib.h>

struct image_rows {
	struct cfi_table table;
	size_t n_bytes; /* of table.rows */
};

static void *resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
	(void)ctx;
	(void)old_bytes;
	if (new_bytes)
		return realloc(block, new_bytes);
	free(block);
	return NULL;
}

/* The lowest address that rows count from: that of the first segment. */
static uint64_t base_svma(const struct elf_image *image)
{
	size_t n;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	uint64_t base = UINT64_MAX;
	for (size_t i = 0; i < n; i++)
		if (segments[i].svma < base)
			base = segments[i].svma;
	return n ? base : 0;
}

static enum cfi_status compile(const struct elf_image *image, struct image_rows *rows)
{
	struct elf_eh_frame_hdr hdr;
	uint64_t svma, size;
	const uint8_t *bytes = elf_image_eh_frame(image, &svma, &size);
	if (!bytes || !elf_image_eh_frame_hdr(image, &hdr))
		return CFI_OK;
	const uint8_t *table = elf_image_bytes(image, hdr.table_svma, hdr.n_entries * 8);
	if (!table)
		return CFI_OK;
	const struct cfi_section section = {.bytes = bytes, .n = size, .svma = svma};
	struct cfi_build build = {.resize = resize};
	enum cfi_status status =
		cfi_build_search_table(&build, &section, table, hdr.n_entries, hdr.svma);
	if (status == CFI_OK)
		status = cfi_build_finish(&build, base_svma(image), &rows->table, &rows->n_bytes);
	cfi_build_release(&build);
	return status;
}

int image_rows_create(const struct elf_image *image, struct image_rows **out)
{
	struct image_rows *rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	if (compile(image, rows) != CFI_OK) {
		image_rows_destroy(rows);
		return -ENOMEM;
	}
	*out = rows;
	return 0;
}

void image_rows_destroy(struct image_rows *rows)
{
	if (!rows)
		return;
	free((void *)rows->table.rows);
	free(rows);
}

const struct cfi_table *image_rows_table(const struct image_rows *rows)
{
	return &rows->table;
}

size_t image_rows_size_bytes(const struct image_rows *rows)
{
	return sizeof(*rows) + rows->n_bytes;
}
