#include "eh_frame_make.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "elf/cfi_reader.h"
#include "unwind/image_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	HDR_BYTES = 12, /* version, three encodings, .eh_frame's place, the number of entries */
	ENTRY_BYTES = 8,
	ALIGN = 4,
	RETURN_ADDRESS = 16,
	POINTER = EH_PE_PCREL | EH_PE_SDATA8,
	LEB_MAX = 10,
	FDE_FIELDS = 4 + 4 + 8 + 8 + 1,
};

struct function {
	uint64_t start, end; /* svma */
	size_t order;        /* .eh_frame's functions come before those of .debug_frame */
	size_t at;           /* of its FDE in the bytes */
};

struct maker {
	struct function *functions;
	size_t n, cap;
	uint8_t *bytes; /* CIEs and FDEs; addresses are filled in when their place is known */
	size_t n_bytes, cap_bytes;
	/* the CIE written last, which neighbours share */
	struct cfi_fde last;
	size_t last_cie_at;
	bool has_last;
};

static bool put(struct maker *maker, const void *bytes, size_t n)
{
	uint8_t *moved = cp_array_reserve(maker->bytes, &maker->cap_bytes, maker->n_bytes + n, 1);
	if (!moved)
		return false;
	maker->bytes = moved;
	memcpy(moved + maker->n_bytes, bytes, n);
	maker->n_bytes += n;
	return true;
}

static size_t make_uleb(uint64_t value, uint8_t *out)
{
	size_t n = 0;
	do {
		out[n] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
		value >>= 7;
	} while (out[n++] & 128);
	return n;
}

static size_t make_sleb(int64_t value, uint8_t *out)
{
	size_t n = 0;
	for (;;) {
		const uint8_t low = (uint8_t)value & 127;
		value >>= 7; /* arithmetic: gcc and clang define it so */
		const bool last = (value == 0 && !(low & 64)) || (value == -1 && low & 64);
		out[n++] = last ? low : low | 128;
		if (last)
			return n;
	}
}

/* A record's end: DW_CFA_nop up to the alignment, and its length. */
static bool finish_record(struct maker *maker, size_t at)
{
	static const uint8_t nops[ALIGN] = {0};
	if (!put(maker, nops, (ALIGN - maker->n_bytes % ALIGN) % ALIGN))
		return false;
	const uint32_t length = (uint32_t)(maker->n_bytes - at - sizeof(length));
	memcpy(maker->bytes + at, &length, sizeof(length));
	return true;
}

static bool put_cie(struct maker *maker, const struct cfi_fde *fde)
{
	const size_t at = maker->n_bytes;
	uint8_t head[8 + 1 + 4 + LEB_MAX + LEB_MAX + 3] = {0};
	size_t n = 8; /* length and id, 0 */
	head[n++] = 1;
	n += (size_t)(stpcpy((char *)head + n, fde->signal ? "zRS" : "zR") - (char *)head) - n + 1;
	n += make_uleb(fde->code_align, head + n);
	n += make_sleb(fde->data_align, head + n);
	head[n++] = RETURN_ADDRESS;
	head[n++] = 1; /* bytes of augmentation */
	head[n++] = POINTER;
	maker->last = *fde;
	maker->last_cie_at = at;
	maker->has_last = true;
	return put(maker, head, n) && put(maker, fde->cie_bytes, fde->n_cie_bytes) &&
	       finish_record(maker, at);
}

static bool same_cie(const struct cfi_fde *a, const struct cfi_fde *b)
{
	return a->cie_bytes == b->cie_bytes && a->n_cie_bytes == b->n_cie_bytes;
}

static bool put_fde(struct maker *maker, const struct cfi_fde *fde)
{
	if ((!maker->has_last || !same_cie(&maker->last, fde)) && !put_cie(maker, fde))
		return false;
	const size_t at = maker->n_bytes;
	const uint32_t to_cie = (uint32_t)(at + 4 - maker->last_cie_at);
	const uint64_t size = fde->end - fde->start;
	uint8_t head[FDE_FIELDS] = {0};
	memcpy(head + 4, &to_cie, sizeof(to_cie));
	memcpy(head + 16, &size, sizeof(size));
	struct function *function = CP_ARRAY_PUSH(maker->functions, maker->n, maker->cap);
	if (!function)
		return false;
	*function = (struct function){fde->start, fde->end, maker->n, at};
	return put(maker, head, sizeof(head)) && put(maker, fde->bytes, fde->n_bytes) &&
	       finish_record(maker, at);
}

static enum cfi_status visit(void *ctx, const struct cfi_fde *fde)
{
	struct maker *maker = ctx;
	/* hostile: programs that overlap, and together are larger than all tables can be */
	const size_t max = 4 * (size_t)(64 << 20);
	if (maker->n_bytes + fde->n_bytes + fde->n_cie_bytes > max)
		return CFI_NO_MEMORY;
	return put_fde(maker, fde) ? CFI_OK : CFI_NO_MEMORY;
}

static int by_address(const void *a, const void *b)
{
	const struct function *f = a, *g = b;
	if (f->start != g->start)
		return f->start < g->start ? -1 : 1;
	return f->order < g->order ? -1 : 1;
}

/* Drop functions that begin inside one that was named before them, in .eh_frame. */
static void drop_covered(struct maker *maker)
{
	qsort(maker->functions, maker->n, sizeof(*maker->functions), by_address);
	size_t n = 0;
	for (size_t i = 0; i < maker->n; i++) {
		const struct function *f = &maker->functions[i];
		const struct function *before = n ? &maker->functions[n - 1] : NULL;
		if (before && f->start < before->end && f->order > before->order)
			continue;
		maker->functions[n++] = *f;
	}
	maker->n = n;
}

/* The largest run of code, if it holds that many bytes. */
static bool find_place(const struct elf_image *image, uint64_t size, uint64_t *svma)
{
	size_t n;
	uint64_t largest = 0;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	for (size_t i = 0; i < n; i++)
		if (segments[i].exec && segments[i].file_size > largest) {
			largest = segments[i].file_size;
			*svma = (segments[i].svma + 7) & ~UINT64_C(7);
		}
	return largest >= size + 8;
}

static bool fits_i32(uint64_t difference)
{
	const int64_t value = (int64_t)difference;
	return value >= INT32_MIN && value <= INT32_MAX;
}

/* Write the index in front of the records, and the addresses into them. */
static int place(struct maker *maker, struct elf_image *image)
{
	const size_t index_bytes = HDR_BYTES + maker->n * ENTRY_BYTES;
	const uint64_t size = index_bytes + maker->n_bytes;
	uint64_t svma = 0;
	if (!find_place(image, size, &svma))
		return -ENOSPC;
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	const uint8_t hdr[] = {1, EH_PE_PCREL | EH_PE_SDATA4, EH_PE_UDATA4,
			       EH_PE_DATAREL | EH_PE_SDATA4};
	const uint32_t to_records = (uint32_t)(index_bytes - sizeof(hdr));
	memcpy(bytes, hdr, sizeof(hdr));
	memcpy(bytes + 4, &to_records, sizeof(to_records));
	memcpy(bytes + index_bytes, maker->bytes, maker->n_bytes);
	uint32_t n = 0;
	for (size_t i = 0; i < maker->n; i++) {
		const struct function *f = &maker->functions[i];
		const uint64_t to_fde = index_bytes + f->at, field_svma = svma + to_fde + 8;
		const uint64_t to_start = f->start - field_svma;
		if (!fits_i32(f->start - svma))
			continue;
		const int32_t entry[2] = {(int32_t)(f->start - svma), (int32_t)to_fde};
		memcpy(bytes + HDR_BYTES + (size_t)n++ * ENTRY_BYTES, entry, sizeof(entry));
		memcpy(bytes + to_fde + 8, &to_start, sizeof(to_start));
	}
	memcpy(bytes + 8, &n, sizeof(n));
	const struct elf_eh_frame_hdr made = {
		.svma = svma, .table_svma = svma + HDR_BYTES, .n_entries = n};
	elf_image_set_index(image, &made, bytes, size);
	return 0;
}

static enum cfi_status count(void *ctx, const struct cfi_fde *fde)
{
	size_t *n = ctx;
	(void)fde;
	++*n;
	return CFI_OK;
}

int eh_frame_make(struct elf_image *image)
{
	struct maker maker = {.n = 0};
	struct elf_eh_frame_hdr hdr;
	uint64_t size;
	size_t n = 0;
	/* counted first: libLLVM has all in its index, and a copy of it takes 9 MB and 7 ms */
	image_rows_visit(image, count, &n);
	if (n == 0)
		return -ENOENT;
	if (elf_image_eh_frame_hdr(image, &hdr) && !elf_image_debug_frame(image, &size) &&
	    hdr.n_entries >= n)
		return 0;
	int ret = image_rows_visit(image, visit, &maker) == CFI_OK ? 0 : -ENOMEM;
	if (ret == 0) {
		drop_covered(&maker);
		ret = place(&maker, image);
	}
	free(maker.functions);
	free(maker.bytes);
	return ret;
}
