/*
 * fuzz_cfi_rows.c - any bytes as call frame information, compiled to rows.
 *
 * Beside not crashing: the table is sorted and distinct, says of every row of every function what
 * the compiler said of it, has a gap where no function is, and takes memory by the input's size.
 */
#include "rows/cfi_rows.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* The input's first bytes: how to read the rest. */
enum { HEAD_FLAGS, HEAD_TABLE_ENTRIES, HEAD_BASE, HEAD_BYTES };
enum { FLAG_DEBUG_FRAME = 1, FLAG_TABLE = 2, FLAG_BOTH = 4, FLAG_NO_MEMORY = 8 };

static const uint64_t section_svma = 0x10000;

struct budget {
	uint64_t held, most;
	unsigned left; /* calls until memory is out; 0 = never */
};

static void *resize(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
	struct budget *budget = ctx;
	if (new_bytes && budget->left && --budget->left == 0)
		return NULL;
	CHECK(old_bytes <= budget->held);
	budget->held += new_bytes - old_bytes;
	if (budget->held > budget->most)
		budget->most = budget->held;
	if (new_bytes)
		return realloc(block, new_bytes);
	free(block);
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	const uint64_t x = ((const struct cfi_span *)a)->start;
	const uint64_t y = ((const struct cfi_span *)b)->start;
	return x < y ? -1 : x > y;
}

/* A function that begins where no other does: its rows hold up to where the next one begins. */
static void check_span(const struct cfi_build *build, const struct cfi_table *table,
		       const struct cfi_span *span, uint64_t next)
{
	const uint64_t end = span->end < next ? span->end : next;
	if (span->start < table->base_svma || span->end - table->base_svma > UINT32_MAX)
		return;
	for (uint32_t r = 0; r < span->n_rows; r++) {
		const struct cfi_row *row = &build->rows[span->first_row + r];
		if (span->start + row->pc < end)
			CHECK(cfi_table_find(table, span->start + row->pc) == row->rule);
	}
	if (end < next)
		CHECK(cfi_table_find(table, end) == CFI_NONE);
}

/* What the walk will ask for, against what was compiled before the rows were sorted. */
static void check_table(const struct cfi_build *build, const struct cfi_table *table)
{
	for (size_t i = 1; i < table->n; i++) {
		CHECK(table->rows[i - 1].pc < table->rows[i].pc);
		CHECK(table->rows[i - 1].rule != table->rows[i].rule);
	}
	const size_t n = build->n_spans;
	struct cfi_span *spans = calloc(n + 1, sizeof(*spans));
	CHECK(spans);
	if (n)
		memcpy(spans, build->spans, n * sizeof(*spans));
	qsort(spans, n, sizeof(*spans), by_start);
	for (size_t i = 0; i < n; i++) {
		CHECK(spans[i].start < spans[i].end);
		CHECK((uint64_t)spans[i].first_row + spans[i].n_rows <= build->n_rows);
		const uint64_t next = i + 1 < n ? spans[i + 1].start : UINT64_MAX;
		if (next != spans[i].start && (i == 0 || spans[i - 1].start != spans[i].start))
			check_span(build, table, &spans[i], next);
	}
	free(spans);
}

static void check_bounds(const struct cfi_build *build, const struct budget *budget, size_t size)
{
	/* each byte may be run 8 times in each of two passes, and gives a row at most */
	CHECK(build->n_rows <= 2 * 8 * (uint64_t)size + build->n_spans);
	CHECK(build->n_spans <= 2 * (uint64_t)size);
	CHECK(build->counts.fdes == build->n_spans);
	CHECK(budget->most <= 1024 * (uint64_t)size + (1 << 20));
}

static enum cfi_status compile(struct cfi_build *build, const uint8_t *data, size_t size)
{
	const uint8_t flags = data[HEAD_FLAGS];
	const uint8_t *rest = data + HEAD_BYTES;
	size -= HEAD_BYTES;
	size_t n_entries = data[HEAD_TABLE_ENTRIES];
	if (n_entries > size / 8)
		n_entries = size / 8;
	if (!(flags & (FLAG_TABLE | FLAG_BOTH)))
		n_entries = 0;
	/* copies of exactly these sizes, so that a read beyond their ends is seen */
	const size_t n = size - n_entries * 8;
	uint8_t *table = malloc(n_entries * 8 + 1), *bytes = malloc(n + 1);
	CHECK(table && bytes);
	memcpy(table, rest, n_entries * 8);
	memcpy(bytes + 1, rest + n_entries * 8, n);
	const struct cfi_section section = {
		.bytes = bytes + 1,
		.n = n,
		.svma = section_svma,
		.debug_frame = flags & FLAG_DEBUG_FRAME,
		.text_svma = section_svma / 2,
		.data_svma = section_svma * 2,
	};
	enum cfi_status status = CFI_OK;
	if (flags & (FLAG_TABLE | FLAG_BOTH))
		status = cfi_build_search_table(build, &section, table, n_entries, section_svma);
	if (status == CFI_OK && (flags & FLAG_BOTH || !(flags & FLAG_TABLE)))
		status = cfi_build_section(build, &section);
	free(table);
	free(bytes);
	return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_BYTES)
		return 0;
	struct budget budget = {0};
	if (data[HEAD_FLAGS] & FLAG_NO_MEMORY)
		budget.left = 1 + (data[HEAD_FLAGS] >> 4);
	struct cfi_build build = {.resize = resize, .ctx = &budget};
	struct cfi_table table = {0};
	size_t n_bytes = 0;
	enum cfi_status status = compile(&build, data, size);
	if (status == CFI_OK)
		status = cfi_build_finish(&build, data[HEAD_BASE] * 0x1000ULL, &table, &n_bytes);
	if (status == CFI_OK) {
		check_bounds(&build, &budget, size);
		check_table(&build, &table);
		resize(&budget, (void *)table.rows, n_bytes, 0);
	} else {
		CHECK(budget.left == 0 && data[HEAD_FLAGS] & FLAG_NO_MEMORY);
	}
	cfi_build_release(&build);
	CHECK(budget.held == 0);
	return 0;
}
