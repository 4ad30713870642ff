#include "symbol_table.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_SYMBOL UINT32_MAX

void symbol_table_init(struct symbol_table *table)
{
	*table = (struct symbol_table){0};
}

void symbol_table_deinit(struct symbol_table *table)
{
	free(table->symbols);
	free(table->spans);
	symbol_table_init(table);
}

int symbol_table_add(struct symbol_table *table, const struct symbol *symbol)
{
	if (!symbol->name[0] || symbol->end <= symbol->start)
		return 0;
	if (table->n >= NO_SYMBOL)
		return -ENOMEM;
	struct symbol *added = CP_ARRAY_PUSH(table->symbols, table->n, table->cap);
	if (!added)
		return -ENOMEM;
	*added = *symbol;
	return 0;
}

/*
 * Aliases of equal rank: "write" rather than "__write", "read" rather than "read@@GLIBC_2.2.5".
 * Return: > 0 when @a is the plainer name.
 */
static int compare_plainness(const char *a, const char *b)
{
	bool a_versioned = strchr(a, '@') != NULL, b_versioned = strchr(b, '@') != NULL;
	if (a_versioned != b_versioned)
		return a_versioned ? -1 : 1;
	size_t a_bars = strspn(a, "_"), b_bars = strspn(b, "_");
	if (a_bars != b_bars)
		return a_bars < b_bars ? 1 : -1;
	size_t a_length = strlen(a), b_length = strlen(b);
	if (a_length != b_length)
		return a_length < b_length ? 1 : -1;
	return strcmp(a,
		      b); /* of C1/C2 and D1/D2 the second is the function, the first its alias */
}

/* By start; at one start the best symbol comes last. */
static int compare_symbols(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->sized != b->sized)
		return a->sized ? 1 : -1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->name != b->name) {
		int plainer = compare_plainness(a->name, b->name);
		if (plainer != 0)
			return plainer;
	}
	return a->end < b->end ? -1 : a->end > b->end;
}

/* Give symbols without a size their end, and drop those that a sized one covers. */
static void settle_unsized(struct symbol_table *table)
{
	uint64_t covered = 0; /* end of the sized symbols that start here or before */
	size_t kept = 0;
	for (size_t i = 0, group_end = 0; i < table->n; i++) {
		if (i == group_end) {
			uint64_t start = table->symbols[i].start;
			for (; group_end < table->n && table->symbols[group_end].start == start;
			     group_end++) {
				const struct symbol *s = &table->symbols[group_end];
				if (s->sized && s->end > covered)
					covered = s->end;
			}
		}
		struct symbol symbol = table->symbols[i];
		if (!symbol.sized) {
			if (symbol.start < covered)
				continue;
			if (group_end < table->n && table->symbols[group_end].start < symbol.end)
				symbol.end = table->symbols[group_end].start;
		}
		table->symbols[kept++] = symbol;
	}
	table->n = kept;
}

static int emit(struct symbol_table *table, uint64_t start, uint32_t symbol)
{
	if (table->n_spans > 0 && table->spans[table->n_spans - 1].start == start) {
		table->spans[table->n_spans - 1].symbol = symbol;
		return 0;
	}
	struct symbol_span *span = CP_ARRAY_PUSH(table->spans, table->n_spans, table->cap_spans);
	if (!span)
		return -ENOMEM;
	*span = (struct symbol_span){.start = start, .symbol = symbol};
	return 0;
}

/* Symbols that are open at the sweep's position: a heap, the one that shows on top. */
struct open_symbols {
	const struct symbol_table *table;
	uint32_t *ids;
	size_t n;
};

/* Symbols are sorted by start, so the higher id starts later. */
static bool shows_over(const struct open_symbols *open, uint32_t a, uint32_t b)
{
	const struct symbol *symbols = open->table->symbols;
	if (open->table->newest_wins && symbols[a].rank != symbols[b].rank)
		return symbols[a].rank > symbols[b].rank;
	return a > b;
}

static void open_push(struct open_symbols *open, uint32_t id)
{
	size_t at = open->n++;
	for (; at > 0 && shows_over(open, id, open->ids[(at - 1) / 2]); at = (at - 1) / 2)
		open->ids[at] = open->ids[(at - 1) / 2];
	open->ids[at] = id;
}

static void open_pop(struct open_symbols *open)
{
	uint32_t moved = open->ids[--open->n];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < open->n; at = child) {
		if (child + 1 < open->n && shows_over(open, open->ids[child + 1], open->ids[child]))
			child++;
		if (!shows_over(open, open->ids[child], moved))
			break;
		open->ids[at] = open->ids[child];
	}
	open->ids[at] = moved;
}

static uint64_t top_end(const struct open_symbols *open)
{
	return open->table->symbols[open->ids[0]].end;
}

/* Close what ends at or before @position; whatever lies under it shows again. */
static int close_until(struct symbol_table *table, struct open_symbols *open, uint64_t position)
{
	while (open->n > 0 && top_end(open) <= position) {
		uint64_t end = top_end(open);
		while (open->n > 0 && top_end(open) <= end)
			open_pop(open);
		if (emit(table, end, open->n > 0 ? open->ids[0] : NO_SYMBOL) < 0)
			return -ENOMEM;
	}
	return 0;
}

int symbol_table_seal(struct symbol_table *table)
{
	if (table->n == 0)
		return 0;
	qsort(table->symbols, table->n, sizeof(*table->symbols), compare_symbols);
	settle_unsized(table);
	struct open_symbols open = {.table = table, .ids = malloc(table->n * sizeof(uint32_t))};
	if (!open.ids)
		return -ENOMEM;
	int rc = 0;
	for (size_t i = 0; i < table->n && rc == 0; i++) {
		rc = close_until(table, &open, table->symbols[i].start);
		open_push(&open, (uint32_t)i);
		if (rc == 0)
			rc = emit(table, table->symbols[i].start, open.ids[0]);
	}
	if (rc == 0)
		rc = close_until(table, &open, UINT64_MAX);
	free(open.ids);
	return rc;
}

const struct symbol *symbol_table_find(const struct symbol_table *table, uint64_t address)
{
	size_t low = 0, high = table->n_spans; /* the last span with start <= address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->spans[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || table->spans[low - 1].symbol == NO_SYMBOL)
		return NULL;
	return &table->symbols[table->spans[low - 1].symbol];
}
