#include "image_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Functions from which on compiling all of them at once would stall the reading of samples:
	 * 2 ms of CPU time on a fast machine. */
	PIECEMEAL_MIN = 1 << 14,
	PIECE_FUNCTIONS = 256, /* 60 to 80 us */
	/* Of one array. A hostile file's 64 MB of tables would make 1.6 GB of rows; libLLVM has
	 * 8 MB, a browser some 30. */
	BLOCK_BYTES_MAX = 128 << 20,
};

static const struct cfi_row unsupported_row = {.pc = 0, .rule = CFI_UNSUPPORTED};

struct piece {
	struct cfi_table table;
	bool compiled;
};

struct image_rows {
	struct cfi_table table;
	size_t n_bytes; /* of all rows */
	/* of a table that is compiled piece by piece */
	const struct elf_image *image;
	struct elf_eh_frame_hdr hdr;
	struct piece *pieces;
	size_t n_pieces;
	uint64_t bytes_left;
	struct cfi_table unsupported; /* instead of a piece that cannot be compiled */
};

static void *resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
	(void)ctx;
	(void)old_bytes;
	if (new_bytes > BLOCK_BYTES_MAX)
		return NULL;
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

static enum cfi_status run_eh_frame(struct cfi_build *build, const struct elf_image *image)
{
	struct elf_eh_frame_hdr hdr;
	bool is_section;
	uint64_t svma, size;
	const uint8_t *bytes = elf_image_eh_frame(image, &svma, &size, &is_section);
	if (!bytes)
		return CFI_OK;
	const struct cfi_section section = {.bytes = bytes, .n = size, .svma = svma};
	/* all of it, rather than what the index names: an index may leave functions out */
	if (is_section)
		return cfi_build_section(build, &section);
	if (!elf_image_eh_frame_hdr(image, &hdr))
		return CFI_OK;
	const uint8_t *table = elf_image_bytes(image, hdr.table_svma, hdr.n_entries * 8);
	return table ? cfi_build_search_table(build, &section, table, hdr.n_entries, hdr.svma)
		     : CFI_OK;
}

static enum cfi_status run_debug_frame(struct cfi_build *build, const struct elf_image *image)
{
	uint64_t size;
	const uint8_t *bytes = elf_image_debug_frame(image, &size);
	const struct cfi_section section = {.bytes = bytes, .n = size, .debug_frame = true};
	return bytes ? cfi_build_section(build, &section) : CFI_OK;
}

enum cfi_status image_rows_visit(const struct elf_image *image, image_rows_visit_fn *visit,
				 void *ctx)
{
	struct cfi_build build = {.resize = resize, .visit = visit, .ctx = ctx};
	enum cfi_status status = run_eh_frame(&build, image);
	return status == CFI_OK ? run_debug_frame(&build, image) : status;
}

typedef enum cfi_status run_fn(struct cfi_build *build, const struct elf_image *image);

static enum cfi_status make_table(run_fn *run, const struct elf_image *image,
				  struct cfi_table *table, size_t *n_bytes)
{
	struct cfi_build build = {.resize = resize};
	enum cfi_status status = run(&build, image);
	if (status == CFI_OK)
		status = cfi_build_finish(&build, base_svma(image), table, n_bytes);
	cfi_build_release(&build);
	return status;
}

static enum cfi_status compile(const struct elf_image *image, struct image_rows *rows)
{
	struct cfi_build build = {.resize = resize};
	struct cfi_table more = {.n = 0};
	size_t more_bytes, size;
	enum cfi_status status = make_table(run_eh_frame, image, &rows->table, &rows->n_bytes);
	if (status != CFI_OK || !elf_image_debug_frame(image, &size))
		return status;
	status = make_table(run_debug_frame, image, &more, &more_bytes);
	struct cfi_table merged;
	size_t merged_bytes;
	if (status == CFI_OK)
		status = cfi_table_merge(&build, &rows->table, &more, &merged, &merged_bytes);
	free((void *)more.rows);
	if (status != CFI_OK)
		return status;
	free((void *)rows->table.rows);
	rows->table = merged;
	rows->n_bytes = merged_bytes;
	return CFI_OK;
}

/* The number of functions in the index that begin at or below an address. */
static uint64_t rank(const uint8_t *index, const struct elf_eh_frame_hdr *hdr, uint64_t svma)
{
	uint64_t lo = 0, hi = hdr->n_entries;
	const int64_t wanted = (int64_t)(svma - hdr->svma);
	while (lo < hi) {
		const uint64_t mid = lo + (hi - lo) / 2;
		int32_t start;
		memcpy(&start, index + mid * 8, sizeof(start));
		if (start <= wanted)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool compile_piece(struct image_rows *rows, const uint8_t *index, size_t at)
{
	struct piece *piece = &rows->pieces[at];
	struct cfi_build build = {.resize = resize, .bytes_left = &rows->bytes_left};
	bool is_section;
	uint64_t svma, size;
	const uint8_t *bytes = elf_image_eh_frame(rows->image, &svma, &size, &is_section);
	if (!bytes)
		return false;
	const struct cfi_section section = {.bytes = bytes, .n = size, .svma = svma};
	const uint64_t first = (uint64_t)at * PIECE_FUNCTIONS;
	const uint64_t left = rows->hdr.n_entries - first;
	size_t n_bytes = 0;
	enum cfi_status status = cfi_build_search_table(
		&build, &section, index + first * 8,
		left < PIECE_FUNCTIONS ? left : PIECE_FUNCTIONS, rows->hdr.svma);
	if (status == CFI_OK)
		status = cfi_build_finish(&build, rows->table.base_svma, &piece->table, &n_bytes);
	cfi_build_release(&build);
	piece->compiled = status == CFI_OK;
	rows->n_bytes += n_bytes;
	return piece->compiled;
}

static const struct cfi_table *piece_of(void *ctx, uint64_t svma)
{
	struct image_rows *rows = ctx;
	const uint8_t *index =
		elf_image_bytes(rows->image, rows->hdr.table_svma, rows->hdr.n_entries * 8);
	if (!index)
		return &rows->unsupported;
	const uint64_t n_before = rank(index, &rows->hdr, svma);
	if (n_before == 0)
		return NULL;
	const size_t at = (size_t)((n_before - 1) / PIECE_FUNCTIONS);
	if (!rows->pieces[at].compiled && !compile_piece(rows, index, at))
		return &rows->unsupported; /* out of memory: the other walk may have some */
	return &rows->pieces[at].table;
}

/* True when the index names all functions there are, and they are many. */
static bool can_be_piecemeal(const struct elf_image *image, struct elf_eh_frame_hdr *hdr)
{
	bool is_section;
	uint64_t svma, size;
	if (!elf_image_eh_frame_hdr(image, hdr) || hdr->n_entries < PIECEMEAL_MIN ||
	    elf_image_debug_frame(image, &size))
		return false;
	const uint8_t *bytes = elf_image_eh_frame(image, &svma, &size, &is_section);
	const struct cfi_section section = {.bytes = bytes, .n = size, .svma = svma};
	return bytes && (!is_section || cfi_count_fdes(&section) <= hdr->n_entries);
}

int image_rows_create_piecemeal(const struct elf_image *image, struct image_rows **out)
{
	struct elf_eh_frame_hdr hdr;
	if (!can_be_piecemeal(image, &hdr))
		return image_rows_create(image, out);
	uint64_t svma, size;
	bool is_section;
	const uint8_t *bytes = elf_image_eh_frame(image, &svma, &size, &is_section);
	const struct cfi_section section = {.bytes = bytes, .n = size, .svma = svma};
	struct image_rows *rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	rows->image = image;
	rows->hdr = hdr;
	rows->bytes_left = cfi_bytes_allowed(&section);
	rows->table = (struct cfi_table){
		.base_svma = base_svma(image), .piece_of = piece_of, .ctx = rows};
	rows->unsupported = (struct cfi_table){
		.base_svma = rows->table.base_svma, .rows = &unsupported_row, .n = 1};
	rows->n_pieces = (hdr.n_entries + PIECE_FUNCTIONS - 1) / PIECE_FUNCTIONS;
	rows->pieces = calloc(rows->n_pieces, sizeof(*rows->pieces));
	rows->n_bytes = rows->n_pieces * sizeof(*rows->pieces);
	if (!rows->pieces) {
		image_rows_destroy(rows);
		return -ENOMEM;
	}
	*out = rows;
	return 0;
}

bool image_rows_need_tables(const struct image_rows *rows)
{
	return rows->pieces != NULL;
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
	for (size_t i = 0; i < rows->n_pieces && rows->pieces; i++)
		free((void *)rows->pieces[i].table.rows);
	free(rows->pieces);
	free((void *)rows->table.rows);
	free(rows);
}

const struct cfi_table *image_rows_table(const struct image_rows *rows)
{
	return &rows->table;
}

bool image_rows_cover(const struct image_rows *rows, const struct elf_image *image)
{
	size_t n;
	uint64_t code_bytes = 0;
	if (rows->pieces)
		return true;
	const struct elf_segment *segments = elf_image_segments(image, &n);
	for (size_t i = 0; i < n; i++)
		if (segments[i].exec)
			code_bytes += segments[i].file_size;
	return cfi_table_covered_bytes(&rows->table) >= code_bytes / 2;
}

size_t image_rows_size_bytes(const struct image_rows *rows)
{
	return sizeof(*rows) + rows->n_bytes;
}
