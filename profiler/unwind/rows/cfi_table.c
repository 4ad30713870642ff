/*
 * cfi_table.c - the sorted table: look one address up, make it of the functions' rows, merge two.
 */
#include "cfi_rows.h"

/* The row that holds at an svma; NULL: none does. */
static const struct cfi_row *find_row(const struct cfi_table *table, uint64_t svma)
{
	uint64_t pc = svma - table->base_svma;
	if (svma < table->base_svma || pc > UINT32_MAX || !table->n || pc < table->rows[0].pc)
		return NULL;
	size_t low = 0, n = table->n;
	while (n > 1) {
		size_t half = n / 2;
		low = table->rows[low + half].pc <= pc ? low + half : low;
		n -= half;
	}
	return &table->rows[low];
}

static const struct cfi_table *piece_of(const struct cfi_table *table, uint64_t svma)
{
	return table->piece_of ? table->piece_of(table->ctx, svma) : table;
}

cfi_rule cfi_table_find(const struct cfi_table *table, uint64_t svma)
{
	table = piece_of(table, svma);
	const struct cfi_row *row = table ? find_row(table, svma) : NULL;
	return row ? row->rule : CFI_NONE;
}

bool cfi_table_range_start(const struct cfi_table *table, uint64_t svma, uint64_t *out)
{
	table = piece_of(table, svma);
	const struct cfi_row *row = table ? find_row(table, svma) : NULL;
	if (!row)
		return false;
	*out = table->base_svma + row->pc;
	return true;
}

uint64_t cfi_table_covered_bytes(const struct cfi_table *table)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i + 1 < table->n; i++)
		if (table->rows[i].rule != CFI_NONE)
			bytes += table->rows[i + 1].pc - table->rows[i].pc;
	return bytes;
}

/* Where a span lies in the order of addresses. */
struct place {
	uint32_t pc; /* of the span's start, from the base */
	uint32_t span;
};

enum { RADIX_BITS = 11, RADIX_SIZE = 1 << RADIX_BITS, RADIX_PASSES = 3 };

/* One pass of a radix sort, by @RADIX_BITS of the pc; what is equal in them keeps its order. */
static void sort_pass(const struct place *from, struct place *to, size_t n, unsigned shift)
{
	uint32_t at[RADIX_SIZE] = {0};
	for (size_t i = 0; i < n; i++)
		at[from[i].pc >> shift & (RADIX_SIZE - 1)]++;
	uint32_t sum = 0;
	for (size_t i = 0; i < RADIX_SIZE; i++) {
		const uint32_t count = at[i];
		at[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i].pc >> shift & (RADIX_SIZE - 1)]++] = from[i];
}

/*
 * Sort, in time that follows the number of places whatever their order is. Linkers mostly write the
 * entries in order already.
 *
 * @places: 2 * @n, of which the second half is scratch. Return: where the sorted ones are.
 */
static struct place *sort_places(struct place *places, size_t n)
{
	size_t sorted = n ? 1 : 0;
	while (sorted < n && places[sorted - 1].pc <= places[sorted].pc)
		sorted++;
	if (sorted == n)
		return places;
	struct place *from = places, *to = places + n;
	for (unsigned pass = 0; pass < RADIX_PASSES; pass++) {
		sort_pass(from, to, n, pass * RADIX_BITS);
		struct place *const swap = from;
		from = to;
		to = swap;
	}
	return from;
}

/* The spans that lie within 4 GiB of the base. Return: their number. */
static size_t list_places(struct cfi_build *build, uint64_t base_svma, struct place *places)
{
	size_t n = 0;
	for (size_t i = 0; i < build->n_spans; i++) {
		const struct cfi_span *span = &build->spans[i];
		if (span->start < base_svma || span->end - base_svma > UINT32_MAX)
			build->counts.bad++;
		else
			places[n++] =
				(struct place){(uint32_t)(span->start - base_svma), (uint32_t)i};
	}
	return n;
}

static void put(struct cfi_row *rows, size_t *n, uint64_t pc, cfi_rule rule)
{
	if (*n && rows[*n - 1].pc == pc)
		--*n; /* an empty range before it */
	if (*n && rows[*n - 1].rule == rule)
		return;
	rows[(*n)++] = (struct cfi_row){(uint32_t)pc, rule};
}

/* Of FDEs that begin at the same address the longest is taken. @places: sorted */
static size_t write_rows(const struct cfi_build *build, struct place *places, size_t n_places,
			 struct cfi_row *rows)
{
	size_t n = 0;
	for (size_t i = 0; i < n_places; i++) {
		const struct cfi_span *span = &build->spans[places[i].span];
		const uint64_t start = places[i].pc;
		uint64_t end = start + (span->end - span->start);
		if (i + 1 < n_places && places[i + 1].pc == start) {
			const struct cfi_span *other = &build->spans[places[i + 1].span];
			if (other->end < span->end)
				places[i + 1].span = places[i].span;
			continue;
		}
		const uint64_t next = i + 1 < n_places ? places[i + 1].pc : UINT64_MAX;
		const bool gap = end < next;
		end = gap ? end : next;
		for (uint32_t r = 0; r < span->n_rows; r++) {
			const struct cfi_row *row = &build->rows[span->first_row + r];
			if (start + row->pc < end)
				put(rows, &n, start + row->pc, row->rule);
		}
		if (gap)
			put(rows, &n, end, CFI_NONE);
	}
	return n;
}

/* Give back what was reserved and not used. */
static void set_table(struct cfi_build *build, struct cfi_row *rows, size_t n, size_t bytes,
		      uint64_t base_svma, struct cfi_table *out, size_t *n_bytes)
{
	const size_t used = n ? n * sizeof(*rows) : sizeof(*rows);
	struct cfi_row *shrunk = used < bytes ? build->resize(build->ctx, rows, bytes, used) : NULL;
	*n_bytes = shrunk ? used : bytes;
	*out = (struct cfi_table){.base_svma = base_svma, .rows = shrunk ? shrunk : rows, .n = n};
}

enum cfi_status cfi_build_finish(struct cfi_build *build, uint64_t base_svma, struct cfi_table *out,
				 size_t *n_bytes)
{
	/* at most one gap row a span */
	const size_t bytes = (build->n_rows + build->n_spans + 1) * sizeof(struct cfi_row);
	const size_t places_bytes = (2 * build->n_spans + 1) * sizeof(struct place);
	struct place *places = build->resize(build->ctx, NULL, 0, places_bytes);
	if (!places)
		return CFI_NO_MEMORY;
	struct cfi_row *rows = build->resize(build->ctx, NULL, 0, bytes);
	if (rows) {
		const size_t n_places = list_places(build, base_svma, places);
		const size_t n = write_rows(build, sort_places(places, n_places), n_places, rows);
		set_table(build, rows, n, bytes, base_svma, out, n_bytes);
	}
	build->resize(build->ctx, places, places_bytes, 0);
	return rows ? CFI_OK : CFI_NO_MEMORY;
}

/* Walks through a table's rows by ascending pc. */
struct merge_side {
	const struct cfi_table *table;
	size_t at;     /* of the next row */
	cfi_rule rule; /* that holds now */
};

static uint64_t next_pc(const struct merge_side *side)
{
	return side->at < side->table->n ? side->table->rows[side->at].pc : UINT64_MAX;
}

static void advance(struct merge_side *side, uint64_t pc)
{
	if (next_pc(side) == pc)
		side->rule = side->table->rows[side->at++].rule;
}

enum cfi_status cfi_table_merge(struct cfi_build *build, const struct cfi_table *first,
				const struct cfi_table *second, struct cfi_table *out,
				size_t *n_bytes)
{
	const size_t bytes = (first->n + second->n + 1) * sizeof(struct cfi_row);
	struct cfi_row *rows = build->resize(build->ctx, NULL, 0, bytes);
	if (!rows)
		return CFI_NO_MEMORY;
	struct merge_side a = {first, 0, CFI_NONE}, b = {second, 0, CFI_NONE};
	size_t n = 0;
	while (next_pc(&a) != UINT64_MAX || next_pc(&b) != UINT64_MAX) {
		const uint64_t pc = next_pc(&a) < next_pc(&b) ? next_pc(&a) : next_pc(&b);
		advance(&a, pc);
		advance(&b, pc);
		put(rows, &n, pc, a.rule != CFI_NONE ? a.rule : b.rule);
	}
	set_table(build, rows, n, bytes, first->base_svma, out, n_bytes);
	return CFI_OK;
}
