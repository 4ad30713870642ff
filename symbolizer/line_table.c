#include "line_table.h"

#include "base/array.h"
#include "dwarf_cursor.h"
#include "line_program.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

/* Every unit's program once, those of units with code in several places some times more. */
enum { READ_EACH_AT_MOST = 16 };

void line_sections_init(struct line_sections *sections, Elf *elf)
{
	GElf_Ehdr header;
	*sections = (struct line_sections){.budget = 0};
	if (!elf || !gelf_getehdr(elf, &header) || header.e_ident[EI_DATA] != ELFDATA2LSB)
		return;
	*sections = (struct line_sections){.line = elf_bytes_find(elf, ".debug_line"),
					   .str = elf_bytes_find(elf, ".debug_str"),
					   .line_str = elf_bytes_find(elf, ".debug_line_str")};
	sections->budget = READ_EACH_AT_MOST * (uint64_t)sections->line.n;
	sections->damaged = !sections->line.bytes && elf_bytes_exist(elf, ".debug_line");
}

void line_sections_deinit(struct line_sections *sections)
{
	free(sections->scratch);
	*sections = (struct line_sections){.budget = 0};
}

void line_table_deinit(struct line_table *table)
{
	free(table->rows);
	free(table->sequences);
	free(table->files);
	free(table->dirs);
	*table = (struct line_table){0};
}

size_t line_table_bytes(const struct line_table *table)
{
	return table->cap_rows * sizeof(*table->rows) +
	       table->cap_sequences * sizeof(*table->sequences) +
	       table->cap_files * sizeof(*table->files) + table->cap_dirs * sizeof(*table->dirs);
}

const char *line_table_dir(const struct line_table *table, const struct line_file *file)
{
	return file->dir < table->n_dirs ? table->dirs[file->dir] : "";
}

static int compare_sequences(const void *left, const void *right)
{
	const struct line_sequence *a = left, *b = right;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->first < b->first ? -1 : a->first > b->first;
}

/* Give the rows a place of their own, just as large. What was used to read them is used again. */
static int settle_rows(struct line_table *table, struct line_sections *sections)
{
	struct line_row *rows = NULL;
	if (table->n_rows > 0) {
		rows = malloc(table->n_rows * sizeof(*rows));
		if (rows)
			memcpy(rows, table->rows, table->n_rows * sizeof(*rows));
	}
	sections->scratch = table->rows;
	sections->cap_scratch = table->cap_rows;
	table->rows = rows;
	table->cap_rows = rows ? table->n_rows : 0;
	return rows || table->n_rows == 0 ? 0 : -ENOMEM;
}

int line_table_read(struct line_table *table, struct line_sections *sections, uint64_t offset,
		    const struct code_ranges *code)
{
	*table = (struct line_table){0};
	struct line_program program;
	if (sections->budget == 0) {
		sections->damaged |= sections->line.bytes != NULL;
		return 0;
	}
	int rc = line_program_begin(&program, table, sections, offset);
	/* the names too: a header of a damaged file may be all of the section */
	uint64_t size = program.cursor.end
				? (uint64_t)(program.cursor.end - sections->line.bytes) - offset
				: 0;
	bool run = rc == 0 && size <= sections->budget;
	sections->budget -= size < sections->budget ? size : sections->budget;
	if (run) {
		table->rows = sections->scratch;
		table->cap_rows = sections->cap_scratch;
		rc = line_program_run(&program, table, code);
		if (settle_rows(table, sections) < 0)
			rc = -ENOMEM;
	}
	sections->damaged |= !run || rc == -EINVAL;
	if (rc == -ENOMEM) {
		line_table_deinit(table);
		return rc;
	}
	if (table->n_sequences > 0)
		qsort(table->sequences, table->n_sequences, sizeof(*table->sequences),
		      compare_sequences);
	return 0;
}

static const struct line_row *find_row(const struct line_table *table,
				       const struct line_sequence *sequence, uint64_t svma,
				       uint64_t *start, uint64_t *end)
{
	const struct line_row *rows = table->rows + sequence->first;
	size_t low = 0, high = sequence->n; /* the last row at or before the address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows[middle].start <= svma)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	*start = rows[low - 1].start;
	*end = low < sequence->n ? rows[low].start : sequence->end;
	return &rows[low - 1];
}

const struct line_row *line_table_find(const struct line_table *table, uint64_t svma,
				       uint64_t *start, uint64_t *end)
{
	size_t low = 0, high = table->n_sequences;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->sequences[middle].start <= svma)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || table->sequences[low - 1].end <= svma)
		return NULL;
	return find_row(table, &table->sequences[low - 1], svma, start, end);
}
