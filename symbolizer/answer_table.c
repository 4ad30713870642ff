#include "answer_table.h"

#include "base/array.h"

#include <errno.h>

int answer_table_init(struct answer_table *table)
{
	*table = (struct answer_table){.n = 0};
	return interner_init(&table->strings);
}

void answer_table_deinit(struct answer_table *table)
{
	if (!table->text && table->strings.strings) {
		free(table->answers);
		free(table->frames);
		cp_index_deinit(&table->index);
		interner_deinit(&table->strings);
	}
	*table = (struct answer_table){.n = 0};
}

static uint64_t hash_of(uint64_t svma)
{
	return cp_hash_mix(svma, 0);
}

static bool is_at(const void *key, const void *owner, uint32_t id)
{
	return ((const struct answer_table *)owner)->answers[id].svma == *(const uint64_t *)key;
}

static int add_frame(struct answer_table *table, const struct symbol_frame *frame)
{
	string_id name, system_name, file;
	int rc = interner_add(&table->strings, frame->name, &name);
	if (rc == 0)
		rc = interner_add(&table->strings, frame->system_name, &system_name);
	if (rc == 0)
		rc = interner_add(&table->strings, frame->file, &file);
	if (rc < 0)
		return rc;
	struct answer_frame *added =
		CP_ARRAY_PUSH(table->frames, table->n_frames, table->cap_frames);
	if (!added)
		return -ENOMEM;
	*added = (struct answer_frame){.name = name.v,
				       .system_name = system_name.v,
				       .file = file.v,
				       .line = frame->line,
				       .start_line = frame->start_line};
	return 0;
}

int answer_table_add(struct answer_table *table, uint64_t svma, const struct symbol_frame *frames,
		     size_t n)
{
	size_t first = table->n_frames;
	int rc = 0;
	if (answer_table_find(table, svma))
		return 0;
	if (table->n >= CP_INDEX_NONE || first + n > UINT32_MAX)
		return -EOVERFLOW;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_frame(table, &frames[i]);
	struct answer *added = rc == 0 ? CP_ARRAY_PUSH(table->answers, table->n, table->cap) : NULL;
	if (rc == 0 && !added)
		rc = -ENOMEM;
	if (rc == 0) {
		*added = (struct answer){
			.svma = svma, .first_frame = (uint32_t)first, .n_frames = (uint32_t)n};
		rc = cp_index_add(&table->index, hash_of(svma), (uint32_t)(table->n - 1));
		table->n -= rc < 0;
	}
	if (rc < 0)
		table->n_frames = first;
	return rc;
}

static const struct answer *find_sorted(const struct answer_table *table, uint64_t svma)
{
	size_t low = 0, high = table->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->answers[middle].svma < svma)
			low = middle + 1;
		else
			high = middle;
	}
	return low < table->n && table->answers[low].svma == svma ? &table->answers[low] : NULL;
}

const struct answer *answer_table_find(const struct answer_table *table, uint64_t svma)
{
	if (table->text)
		return find_sorted(table, svma);
	uint32_t id = cp_index_find(&table->index, hash_of(svma), is_at, &svma, table);
	return id == CP_INDEX_NONE ? NULL : &table->answers[id];
}

static const char *string_of(const struct answer_table *table, uint32_t number)
{
	return table->text ? table->text + number
			   : interner_get(&table->strings, (string_id){number});
}

struct symbol_frame answer_table_frame(const struct answer_table *table,
				       const struct answer *answer, size_t index)
{
	const struct answer_frame *frame = &table->frames[answer->first_frame + index];
	return (struct symbol_frame){.name = string_of(table, frame->name),
				     .system_name = string_of(table, frame->system_name),
				     .file = string_of(table, frame->file),
				     .line = frame->line,
				     .start_line = frame->start_line};
}
