#include "range_table.h"

#include "base/array.h"

#include <errno.h>

void range_table_deinit(struct range_table *table)
{
	free(table->entries);
	*table = (struct range_table){0};
}

int range_table_add(struct range_table *table, uint64_t start, uint64_t end, uint32_t id)
{
	if (end <= start)
		return 0;
	struct range_entry *entry = CP_ARRAY_PUSH(table->entries, table->n, table->cap);
	if (!entry)
		return -ENOMEM;
	*entry = (struct range_entry){.start = start, .end = end, .id = id};
	return 0;
}

static int compare_entries(const void *left, const void *right)
{
	const struct range_entry *a = left, *b = right;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->id > b->id ? -1 : a->id < b->id;
}

void range_table_seal(struct range_table *table)
{
	if (table->n == 0)
		return;
	qsort(table->entries, table->n, sizeof(*table->entries), compare_entries);
	uint64_t max_end = 0;
	for (size_t i = 0; i < table->n; i++) {
		if (table->entries[i].end > max_end)
			max_end = table->entries[i].end;
		table->entries[i].max_end = max_end;
	}
}

size_t range_table_find(const struct range_table *table, uint64_t address, uint32_t *ids,
			size_t max)
{
	size_t low = 0, high = table->n, found = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t scanned = 0; low > 0 && found < max && scanned < RANGE_TABLE_MAX_SCAN;
	     low--, scanned++) {
		const struct range_entry *entry = &table->entries[low - 1];
		if (entry->max_end <= address)
			break;
		if (entry->end > address)
			ids[found++] = entry->id;
	}
	return found;
}
