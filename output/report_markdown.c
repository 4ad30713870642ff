/* The report as a table for a pull request. */
#include "report_parts.h"

#include <errno.h>
#include <string.h>

/*
 * Text in a table's cell or a list: what GitHub would take for markup is escaped, and `<` so that
 * template arguments are not taken for HTML.
 */
static void print_plain(FILE *out, const char *text, size_t n)
{
	for (const char *end = text + n; text < end; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (strchr("\\`*_[]|~#@", *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/*
 * A code span: fenced by more backticks than the text has in a row. In a table `|` ends a cell
 * even so, unless an odd number of backslashes precedes it.
 */
static void print_code(FILE *out, const char *text, bool in_table)
{
	size_t longest = 0, run = 0;
	for (const char *c = text; *c; c++) {
		run = *c == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	const char *space = longest ? " " : "";
	for (size_t i = 0; i <= longest; i++)
		fputc('`', out);
	fputs(space, out);
	for (run = 0; *text; text++) {
		if (in_table && *text == '|')
			fputs(run % 2 ? "\\\\" : "\\", out);
		run = *text == '\\' ? run + 1 : 0;
		fputc(*text, out);
	}
	fputs(space, out);
	for (size_t i = 0; i <= longest; i++)
		fputc('`', out);
}

static void add_name(const struct report *report, const struct hotspot *row, struct strbuf *to)
{
	enum report_by by = report->options->by;
	const char *module = row->module[0] ? row->module : PROFILE_PATH_UNKNOWN;
	if (by == REPORT_BY_THREAD)
		report_add_thread(report, row, to);
	else if (by == REPORT_BY_PROCESS || by == REPORT_BY_STATE || by == REPORT_BY_LOCK)
		strbuf_add_printable(to, row->name[0] ? row->name : PROFILE_PATH_UNKNOWN);
	else if (by == REPORT_BY_MODULE || (by == REPORT_BY_FILE && row->file[0] == '\0'))
		strbuf_add_printable(to, module);
	else
		strbuf_add_printable(to, by == REPORT_BY_FILE ? row->file : row->name);
}

static void add_location(const struct hotspot *row, struct strbuf *to)
{
	if (row->file[0]) {
		strbuf_add_printable(to, row->file);
		if (row->line)
			strbuf_addf(to, ":%u", row->line);
	} else {
		strbuf_add_printable(to, row->module);
	}
}

static void print_row(const struct report *report, const struct hotspot *row,
		      struct strbuf *scratch)
{
	enum report_by by = report->options->by;
	int64_t all = report->hotspots->all.value;
	strbuf_clear(scratch);
	strbuf_add(scratch, "| ");
	report_add_pct(scratch, amount_pct(row->self.value, all));
	strbuf_add(scratch, " | ");
	report_add_value(report, scratch, row->self);
	if (report_is_of_code(by)) {
		strbuf_add(scratch, " | ");
		report_add_pct(scratch, amount_pct(row->total.value, all));
	}
	fputs(strbuf_text(scratch), report->out);
	fputs(" | ", report->out);
	strbuf_clear(scratch);
	add_name(report, row, scratch);
	print_code(report->out, strbuf_text(scratch), true);
	if (by == REPORT_BY_THREAD) {
		fprintf(report->out, " | %u | %u |\n", row->thread->pid, row->thread->tid);
		return;
	}
	if (by == REPORT_BY_PROCESS) {
		fprintf(report->out, " | %zu", row->n_processes);
	} else if (by == REPORT_BY_STATE || by == REPORT_BY_LOCK) {
		fputs(" | ", report->out);
		strbuf_clear(scratch);
		if (by == REPORT_BY_STATE)
			report_add_number(report, scratch, row->self);
		else
			report_add_waiters(report, row, scratch);
		print_plain(report->out, strbuf_text(scratch), scratch->n);
	} else if (by == REPORT_BY_FUNCTION || by == REPORT_BY_LINE) {
		fputs(row->inlined ? " (inlined) | " : " | ", report->out);
		strbuf_clear(scratch);
		add_location(row, scratch);
		if (scratch->n)
			print_code(report->out, strbuf_text(scratch), true);
	}
	fputs(" |\n", report->out);
}

static void print_heads(const struct report *report, struct strbuf *scratch)
{
	static const char *const names[] = {
		"Function | Location", "Function | Location", "File",           "Module",
		"Thread | pid | tid",  "Process | processes", "State | number", "Lock | waiters"};
	static const char *const rules[] = {"---|---|",       "---|---|",  "---|",      "---|",
					    "---|---:|---:|", "---|---:|", "---|---:|", "---|---|"};
	enum report_by by = report->options->by;
	bool total = report_is_of_code(by);
	strbuf_clear(scratch);
	strbuf_add_printable(scratch, report_unit(report));
	fputs("| Self % | Self ", report->out);
	print_plain(report->out, strbuf_text(scratch), scratch->n);
	fprintf(report->out, " | %s%s |\n|---:|---:|%s%s\n", total ? "Total % | " : "", names[by],
		total ? "---:|" : "", rules[by]);
}

static void print_line(const struct report *report, const char *before, const struct strbuf *text,
		       const char *after)
{
	if (text->n == 0)
		return;
	fputs(before, report->out);
	print_plain(report->out, strbuf_text(text), text->n);
	fputs(after, report->out);
}

static void print_remark(void *ctx, const char *text)
{
	const struct report *report = ctx;
	const char *command = strchr(text, '\n');
	fputs("- ", report->out);
	print_plain(report->out, text, command ? (size_t)(command - text) : strlen(text));
	if (command) {
		fputc(' ', report->out);
		print_code(report->out, command + 1, false);
	}
	fputc('\n', report->out);
}

static void print_heading(const struct report *report, struct strbuf *scratch)
{
	strbuf_clear(scratch);
	report_add_target(report, scratch);
	fputs("### cprof: ", report->out);
	print_code(report->out, strbuf_text(scratch), false);
	fputs("\n\n", report->out);
	strbuf_clear(scratch);
	report_add_method(report, scratch);
	print_line(report, "", scratch, "; ");
	strbuf_clear(scratch);
	report_add_amount(report, scratch);
	print_line(report, "", scratch, "\n\n");
	strbuf_clear(scratch);
	report_add_selection(report, scratch);
	print_line(report, "", scratch, "\n\n");
}

/* Where the locks of the table were waited for, the most of each. */
static void print_all_stacks(const struct report *report, struct strbuf *scratch)
{
	if (report->options->by != REPORT_BY_LOCK)
		return;
	if (report->n_shown == 0)
		fputs("No lock was waited for.\n", report->out);
	for (size_t i = 0; i < report->n_shown; i++) {
		const struct hotspot *row = &report->hotspots->rows[i];
		strbuf_clear(scratch);
		report_add_wait_stack(report, &row->stacks[0], scratch);
		fputs("- ", report->out);
		print_code(report->out, row->name[0] ? row->name : PROFILE_PATH_UNKNOWN, false);
		fputs(": ", report->out);
		print_plain(report->out, strbuf_text(scratch), scratch->n);
		fputc('\n', report->out);
	}
	fputc('\n', report->out);
}

int report_markdown(const struct report *report)
{
	struct strbuf scratch = {0};
	print_heading(report, &scratch);
	if (report->n_shown) {
		print_heads(report, &scratch);
		for (size_t i = 0; i < report->n_shown; i++)
			print_row(report, &report->hotspots->rows[i], &scratch);
		fputc('\n', report->out);
	}
	print_all_stacks(report, &scratch);
	strbuf_clear(&scratch);
	report_add_rest(report, &scratch);
	print_line(report, "", &scratch, "\n\n");
	strbuf_clear(&scratch);
	report_add_quality(report, &scratch);
	print_line(report, "**Quality:** ", &scratch, "\n\n");
	report_each_remark(report, &scratch, print_remark, (void *)report);
	bool failed = strbuf_failed(&scratch);
	strbuf_deinit(&scratch);
	return failed ? -ENOMEM : 0;
}
