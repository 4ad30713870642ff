/*
 * A binary of any bytes: opened, every one of its unwind tables' entries looked up, and all of them
 * compiled to rows.
 */
#include "elf/elf_image.h"
#include "unwind/image_rows.h"
#include "unwind/remote/eh_frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look_up(const struct elf_image *image, uint64_t svma)
{
	struct eh_frame_entry entry;
	struct eh_frame_fde fde;
	if (eh_frame_search(image, svma, &entry) && eh_frame_parse(image, entry.fde_svma, &fde) &&
	    fde.svma_start > fde.svma_end)
		abort();
}

/* Sorted and distinct, whichever tables the rows come from; and every byte of those is there. */
static void compile(const struct elf_image *image)
{
	uint64_t size = 0;
	const uint8_t *debug_frame = elf_image_debug_frame(image, &size);
	volatile uint8_t sum = 0;
	for (uint64_t i = 0; debug_frame && i < size; i++)
		sum ^= debug_frame[i];
	struct image_rows *rows = NULL;
	if (image_rows_create(image, &rows) != 0)
		abort();
	const struct cfi_table *table = image_rows_table(rows);
	for (size_t i = 1; i < table->n; i++)
		if (table->rows[i - 1].pc >= table->rows[i].pc ||
		    table->rows[i - 1].rule == table->rows[i].rule)
			abort();
	image_rows_cover(rows, image);
	image_rows_destroy(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct elf_image *image = NULL;
	struct cp_err err;
	if (elf_image_open_bytes(data, n, "input", &image, &err) != 0)
		return 0;
	struct elf_eh_frame_hdr hdr;
	size_t n_segments;
	const struct elf_segment *segments = elf_image_segments(image, &n_segments);
	for (size_t i = 0; i < n_segments; i++) {
		elf_image_segment_at(image, segments[i].file_off, segments[i].file_size);
		look_up(image, segments[i].svma);
		look_up(image, segments[i].svma + segments[i].mem_size / 2);
	}
	if (elf_image_eh_frame_hdr(image, &hdr)) {
		const uint8_t *table = elf_image_bytes(image, hdr.table_svma, hdr.n_entries * 8);
		if (!table)
			abort();
		for (uint64_t i = 0; i < hdr.n_entries; i++) {
			struct eh_frame_fde fde;
			const uint32_t off = table[i * 8] | (uint32_t)table[i * 8 + 1] << 8;
			look_up(image, hdr.svma + (uint64_t)(int64_t)(int16_t)off);
			const uint32_t to_fde = table[i * 8 + 4] | (uint32_t)table[i * 8 + 5] << 8 |
						(uint32_t)table[i * 8 + 6] << 16 |
						(uint32_t)table[i * 8 + 7] << 24;
			eh_frame_parse(image, hdr.svma + (uint64_t)(int64_t)(int32_t)to_fde, &fde);
		}
	}
	compile(image);
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	elf_build_id_hex(elf_image_build_id(image), hex);
	elf_image_destroy(image);
	return 0;
}
