/* The report for people, on a terminal or in a log. */
#include "report_parts.h"
#include "short_name.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* Stacks of waiters shown with a lock; JSON has all. */
enum { WAIT_STACKS = 3 };

enum {
	MIN_WIDTH = 60, /* narrower terminals wrap by themselves */
	MIN_NAME = 18,
	MIN_LOCATION = 10,
	UNLIMITED_NAME = 60, /* without a width, longer names stand out of their column */
};

/* From these shares of self on, a row is worth colour. */
static const double hot_pct = 10, warm_pct = 2;

#define RESET "\033[0m"
#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define YELLOW "\033[33m"

/* The columns of one table; those that the kind of row has no use for are off. */
struct table {
	const struct report *report;
	size_t value_width;
	size_t name_width, location_width;
	bool total, location;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* Who: the function, file, module or thread of a row. */
static void add_name(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	switch (report->options->by) {
	case REPORT_BY_FUNCTION:
	case REPORT_BY_LINE:
		strbuf_add_printable(to, row->name);
		break;
	case REPORT_BY_STATE:
	case REPORT_BY_PROCESS:
	case REPORT_BY_LOCK:
		strbuf_add_printable(to, row->name[0] ? row->name : PROFILE_PATH_UNKNOWN);
		break;
	case REPORT_BY_FILE:
		if (row->file[0]) {
			strbuf_add_printable(to, row->file);
			break;
		}
		if (row->module[0] && row->module[0] != '[')
			strbuf_add(to, "unknown file of ");
		strbuf_add_printable(to, row->module[0] ? row->module : PROFILE_PATH_UNKNOWN);
		break;
	case REPORT_BY_MODULE:
		strbuf_add_printable(to, row->module[0] ? row->module : PROFILE_PATH_UNKNOWN);
		break;
	case REPORT_BY_THREAD:
		report_add_thread(report, row, to);
		break;
	}
}

/* What stands behind a name, also behind one that had to be shortened. */
static const char *name_suffix(const struct hotspot *row)
{
	return row->inlined && row->name[0] ? " (inlined)" : "";
}

/* Of rows that are no places: ids, and how many there are. */
static void add_about(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	if (report->options->by == REPORT_BY_PROCESS)
		report_add_processes(row, to);
	else if (report->options->by == REPORT_BY_STATE)
		report_add_number(report, to, row->self);
	else if (report->options->by == REPORT_BY_LOCK)
		report_add_waiters(report, row, to);
	else if (row->thread->tid)
		strbuf_addf(to, "pid %u tid %u", row->thread->pid, row->thread->tid);
}

/* Where: file:line, else the binary. */
static void add_location(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	if (!report_is_of_code(report->options->by)) {
		add_about(report, row, to);
		return;
	}
	if (row->file[0]) {
		strbuf_add_printable(to, row->file);
		if (row->line)
			strbuf_addf(to, ":%u", row->line);
	} else if (!row->symbolized) {
		strbuf_add(to, "(no symbol)");
	} else if (row->kernel) {
		strbuf_add(to, "[kernel]");
	} else {
		strbuf_add_printable(to, base_name(row->module));
	}
}

static void pad(FILE *out, size_t have, size_t want)
{
	for (; have < want; have++)
		fputc(' ', out);
}

static void print_right(FILE *out, const char *text, size_t width)
{
	pad(out, strbuf_columns(text), width);
	fputs(text, out);
}

/* Print a cell with colour around the text only, so that padding counts columns. */
static void print_left(const struct report *report, const char *text, size_t width,
		       const char *colour)
{
	bool coloured = report->options->colour && colour;
	if (coloured)
		fputs(colour, report->out);
	fputs(text, report->out);
	if (coloured)
		fputs(RESET, report->out);
	pad(report->out, strbuf_columns(text), width);
}

static void measure_columns(struct table *table, struct strbuf *scratch)
{
	const struct report *report = table->report;
	size_t name = 0, location = 0, value = 0;
	for (size_t i = 0; i < report->n_shown; i++) {
		const struct hotspot *row = &report->hotspots->rows[i];
		strbuf_clear(scratch);
		report_add_value(report, scratch, row->total);
		size_t columns = strbuf_columns(strbuf_text(scratch));
		value = columns > value ? columns : value;
		strbuf_clear(scratch);
		add_name(report, row, scratch);
		strbuf_add(scratch, name_suffix(row));
		columns = strbuf_columns(strbuf_text(scratch));
		name = columns > name ? columns : name;
		strbuf_clear(scratch);
		add_location(report, row, scratch);
		columns = strbuf_columns(strbuf_text(scratch));
		location = columns > location ? columns : location;
	}
	table->value_width = value > table->value_width ? value : table->value_width;
	table->name_width = name;
	table->location_width = table->location ? location : 0;
}

/* Share the columns that the numbers leave between names and locations. */
static void fit_columns(struct table *table)
{
	size_t width = table->report->options->width;
	if (width == 0) {
		if (table->location && table->name_width > UNLIMITED_NAME)
			table->name_width = UNLIMITED_NAME;
		return;
	}
	size_t numbers = 1 + 7 + 2 + table->value_width + 2 + (table->total ? 9 : 0);
	size_t gap = table->location ? 2 : 0;
	if (width < MIN_WIDTH)
		width = MIN_WIDTH;
	size_t rest = width > numbers + gap + MIN_NAME + MIN_LOCATION ? width - numbers - gap
								      : MIN_NAME + MIN_LOCATION;
	if (table->name_width + table->location_width <= rest)
		return;
	/* the shorter side gets what it needs, the longer one the rest; else two fifths to
	 * locations, whose tail says most */
	size_t location = rest * 2 / 5;
	if (table->location_width < location)
		location = table->location_width;
	else if (table->name_width < rest - location)
		location = rest - table->name_width;
	table->location_width = location;
	table->name_width = rest - location;
}

static void print_heads(const struct table *table, struct strbuf *scratch)
{
	static const char *const names[] = {"FUNCTION", "FUNCTION", "FILE",  "MODULE",
					    "THREAD",   "PROCESS",  "STATE", "LOCK"};
	static const char *const abouts[] = {[REPORT_BY_THREAD] = "ID",
					     [REPORT_BY_PROCESS] = "ID",
					     [REPORT_BY_STATE] = "NUMBER",
					     [REPORT_BY_LOCK] = "WAITERS"};
	const enum report_by by = table->report->options->by;
	const struct report *report = table->report;
	strbuf_clear(scratch);
	strbuf_add(scratch, "SELF ");
	strbuf_add_printable(scratch, report_unit(report));
	if (report->options->colour)
		fputs(BOLD, report->out);
	fputs("  SELF %  ", report->out);
	print_right(report->out, strbuf_text(scratch), table->value_width);
	if (table->total)
		fputs("  TOTAL %", report->out);
	fputs("  ", report->out);
	print_left(report, names[by], table->location ? table->name_width : 0, NULL);
	if (table->location)
		fprintf(report->out, "  %s", report_is_of_code(by) ? "LOCATION" : abouts[by]);
	if (report->options->colour)
		fputs(RESET, report->out);
	fputc('\n', report->out);
}

/* The name, shortened to its column. */
static void add_name_cell(const struct table *table, const struct hotspot *row, const char *name,
			  struct strbuf *to)
{
	enum report_by by = table->report->options->by;
	size_t width = table->report->options->width ? table->name_width : SIZE_MAX;
	if (by == REPORT_BY_FILE || by == REPORT_BY_MODULE) {
		short_path_add(to, name, width);
		return;
	}
	short_name_add(to, name, width - strlen(name_suffix(row)));
	strbuf_add(to, name_suffix(row));
}

static void print_row(const struct table *table, const struct hotspot *row, struct strbuf *cell,
		      struct strbuf *scratch)
{
	const struct report *report = table->report;
	bool limited = report->options->width > 0;
	double self_pct = amount_pct(row->self.value, report->hotspots->all.value);
	const char *colour = self_pct >= hot_pct ? RED : self_pct >= warm_pct ? YELLOW : NULL;

	strbuf_clear(cell);
	report_add_pct(cell, self_pct);
	pad(report->out, strbuf_columns(strbuf_text(cell)), 8);
	print_left(report, strbuf_text(cell), 0, colour);
	strbuf_clear(cell);
	report_add_value(report, cell, row->self);
	fputs("  ", report->out);
	print_right(report->out, strbuf_text(cell), table->value_width);
	if (table->total) {
		strbuf_clear(cell);
		report_add_pct(cell, amount_pct(row->total.value, report->hotspots->all.value));
		fputs("  ", report->out);
		print_right(report->out, strbuf_text(cell), 7);
	}
	strbuf_clear(scratch);
	strbuf_clear(cell);
	add_name(report, row, scratch);
	add_name_cell(table, row, strbuf_text(scratch), cell);
	fputs("  ", report->out);
	print_left(report, strbuf_text(cell), table->location ? table->name_width : 0, colour);
	if (table->location) {
		strbuf_clear(scratch);
		strbuf_clear(cell);
		add_location(report, row, scratch);
		short_path_add(cell, strbuf_text(scratch),
			       limited ? table->location_width : SIZE_MAX);
		fputs("  ", report->out);
		print_left(report, strbuf_text(cell), 0, NULL);
	}
	fputc('\n', report->out);
}

/*
 * Print a paragraph of words within the width, its further lines indented by @indent. What comes
 * after a newline is a command to copy: it is never wrapped.
 */
static void print_wrapped(const struct report *report, const char *text, size_t at, size_t indent)
{
	size_t width = report->options->width;
	if (width && width < MIN_WIDTH)
		width = MIN_WIDTH;
	bool first = true;
	while (*text && *text != '\n') {
		size_t bytes = strcspn(text, " \n");
		size_t columns = 0;
		for (size_t i = 0; i < bytes; i++)
			columns += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (!first && width && at + 1 + columns > width) {
			fputc('\n', report->out);
			pad(report->out, 0, indent);
			at = indent;
		} else if (!first) {
			fputc(' ', report->out);
			at++;
		}
		fwrite(text, 1, bytes, report->out);
		at += columns;
		first = false;
		text += bytes;
		text += *text == ' ';
	}
	fputc('\n', report->out);
	if (*text == '\n') {
		pad(report->out, 0, indent);
		fprintf(report->out, "%s\n", text + 1);
	}
}

static void print_remark(void *ctx, const char *text)
{
	const struct report *report = ctx;
	fputs("  - ", report->out);
	print_wrapped(report, text, 4, 4);
}

static void print_stacks(const struct report *report, const struct hotspot *row,
			 struct strbuf *scratch)
{
	for (size_t i = 0; i < row->n_stacks && i < WAIT_STACKS; i++) {
		strbuf_clear(scratch);
		report_add_wait_stack(report, &row->stacks[i], scratch);
		fputs("            ", report->out);
		print_wrapped(report, strbuf_text(scratch), 12, 14);
	}
	if (row->n_stacks > WAIT_STACKS)
		fprintf(report->out, "            %zu more (--format json has all)\n",
			row->n_stacks - WAIT_STACKS);
}

static void print_heading(const struct report *report, struct strbuf *scratch)
{
	if (!report->options->summary) {
		strbuf_clear(scratch);
		strbuf_add(scratch, "cprof: ");
		report_add_target(report, scratch);
		print_wrapped(report, strbuf_text(scratch), 0, 7);
		strbuf_clear(scratch);
		report_add_method(report, scratch);
		if (scratch->n)
			print_wrapped(report, strbuf_text(scratch), 0, 0);
	}
	strbuf_clear(scratch);
	report_add_amount(report, scratch);
	print_wrapped(report, strbuf_text(scratch), 0, 0);
	strbuf_clear(scratch);
	report_add_selection(report, scratch);
	if (scratch->n)
		print_wrapped(report, strbuf_text(scratch), 0, 0);
	fputc('\n', report->out);
}

static void print_table(const struct report *report, struct strbuf *cell, struct strbuf *scratch)
{
	enum report_by by = report->options->by;
	struct table table = {
		.report = report,
		.value_width = strlen("SELF ") + strbuf_columns(report_unit(report)),
		.total = report_is_of_code(by),
		.location = by != REPORT_BY_FILE && by != REPORT_BY_MODULE,
	};
	if (report->n_shown == 0 && by == REPORT_BY_LOCK)
		fputs("no lock was waited for\n\n", report->out);
	if (report->n_shown == 0)
		return;
	measure_columns(&table, scratch);
	fit_columns(&table);
	print_heads(&table, scratch);
	for (size_t i = 0; i < report->n_shown; i++) {
		print_row(&table, &report->hotspots->rows[i], cell, scratch);
		print_stacks(report, &report->hotspots->rows[i], scratch);
	}
	strbuf_clear(scratch);
	report_add_rest(report, scratch);
	if (scratch->n)
		fprintf(report->out, "%s%s%s\n",
			report->options->sort == REPORT_SORT_SELF ? "  " : "          ",
			strbuf_text(scratch),
			report->options->summary ? "" : " (--limit 0 shows all)");
	fputc('\n', report->out);
}

int report_text(const struct report *report)
{
	struct strbuf cell = {0}, scratch = {0};
	print_heading(report, &scratch);
	print_table(report, &cell, &scratch);
	strbuf_clear(&scratch);
	strbuf_add(&scratch, "Quality: ");
	report_add_quality(report, &scratch);
	print_wrapped(report, strbuf_text(&scratch), 0, 9);
	report_each_remark(report, &scratch, print_remark, (void *)report);
	bool failed = strbuf_failed(&cell) || strbuf_failed(&scratch);
	strbuf_deinit(&cell);
	strbuf_deinit(&scratch);
	return failed ? -ENOMEM : 0;
}
