/* The heap report for pull requests. */
#include "base/text.h"
#include "heap_parts.h"

#include <errno.h>
#include <string.h>

enum { FIRST_PLACES = 5 };

/* A cell: "|" would end it, "`" the code in it. */
static void put_code(const struct heap_report *report, const char *text)
{
	fputc('`', report->out);
	for (; *text; text++)
		fputc(*text == '|' ? '/' : *text == '`' ? '\'' : *text, report->out);
	fputc('`', report->out);
}

static void put_row(const struct heap_report *report, const struct heap_row *row,
		    struct strbuf *text)
{
	char age[CP_TEXT_MAX];
	fputs("| ", report->out);
	heap_add_bytes(text, row->live.bytes, row->live.bytes_variance);
	strbuf_add(text, " | ");
	heap_add_count(text, row->live.blocks);
	strbuf_addf(text, " | %s | ", row->live.raw ? heap_format_age(row->oldest_ns, age) : "-");
	if (report->options->by != HEAP_BY_THREAD) {
		heap_add_bytes(text, row->peak_bytes, 0);
		strbuf_add(text, " | ");
		heap_add_bytes(text, row->alloc_bytes, row->alloc_bytes_variance);
		strbuf_add(text, " | ");
		heap_add_count(text, row->allocs);
		strbuf_add(text, " | ");
	}
	fputs(strbuf_text(text), report->out);
	strbuf_clear(text);
	strbuf_add_printable(text, row->name);
	put_code(report, strbuf_text(text));
	strbuf_clear(text);
	heap_add_place(row, text);
	fputc(' ', report->out);
	put_code(report, text->n ? strbuf_text(text) : "?");
	strbuf_clear(text);
	fputs(" |\n", report->out);
}

static void put_rows(const struct heap_report *report, struct strbuf *text)
{
	const bool threads = report->options->by == HEAP_BY_THREAD;
	fprintf(report->out, "\n| live | blocks | oldest |%s who |\n",
		threads ? "" : " at peak | allocated | calls |");
	fprintf(report->out, "|---:|---:|---:|%s---|\n", threads ? "" : "---:|---:|---:|");
	for (size_t i = 0; i < report->n_shown; i++)
		put_row(report, &report->analysis->rows[i], text);
}

static void put_first(const struct heap_report *report, struct strbuf *text)
{
	for (size_t i = 0; i < report->analysis->n_places && i < FIRST_PLACES; i++) {
		const struct heap_row *row = &report->analysis->places[i];
		if (row->rise <= 0)
			break;
		fputs(row->growth.verdict == HEAP_GROWTH_GROWING
			      ? "- growing "
			      : "- more than in the earlier copy, not steadily: ",
		      report->out);
		heap_add_rate(text, &row->growth);
		fputs(strbuf_text(text), report->out);
		strbuf_clear(text);
		fputs(": ", report->out);
		strbuf_add_printable(text, row->name);
		strbuf_add(text, " ");
		heap_add_place(row, text);
		put_code(report, strbuf_text(text));
		strbuf_clear(text);
		fputc('\n', report->out);
	}
}

static void put_remark(void *ctx, const char *text)
{
	fprintf(ctx, "- %s\n", text);
}

int heap_markdown(const struct heap_report *report)
{
	struct strbuf text = {0};
	fputs("### Heap of ", report->out);
	heap_add_target(report, &text);
	put_code(report, strbuf_text(&text));
	strbuf_clear(&text);
	heap_add_method(report, &text);
	fprintf(report->out, "\n\n%s\n\n**", strbuf_text(&text));
	strbuf_clear(&text);
	heap_add_verdict(report->analysis, &text);
	fprintf(report->out, "%s** %s\n\n", strbuf_text(&text),
		heap_verdict_caution(report->analysis));
	strbuf_clear(&text);
	put_first(report, &text);
	put_rows(report, &text);
	fputc('\n', report->out);
	heap_each_remark(report, &text, put_remark, report->out);
	const bool failed = strbuf_failed(&text);
	strbuf_deinit(&text);
	return failed ? -ENOMEM : 0;
}
