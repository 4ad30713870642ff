/* The heap report for people: the verdict first, then what stands behind it. */
#include "base/text.h"
#include "heap_printer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 3, SUMMARY_PLACES = 5, NARROW = 60, WIDE = 120, INTERVAL = 8 };

static void age_column(struct heap_printer *printer, const struct heap_row *row, int width)
{
	char text[CP_TEXT_MAX];
	strbuf_add(&printer->scratch, row->live.raw ? heap_format_age(row->oldest_ns, text) : "-");
	heap_printer_column(printer, width, false);
}

static void print_head(struct heap_printer *printer)
{
	strbuf_add(&printer->line, "Heap of ");
	heap_add_target(printer->report, &printer->line);
	strbuf_add(&printer->line, ": ");
	heap_add_method(printer->report, &printer->line);
	heap_printer_wrap(printer, 8);
	if (printer->report->input->since) {
		char text[CP_TEXT_MAX];
		const struct heap_target *then = printer->report->input->since_target;
		const uint64_t now_ns = printer->report->input->target->now_ns;
		strbuf_addf(&printer->line, "Since %s, %s%s earlier",
			    printer->report->input->since_path,
			    then->now_is_guess ? "at most " : "",
			    cp_format_duration(now_ns > then->now_ns ? now_ns - then->now_ns : 0,
					       text));
		heap_printer_wrap(printer, 8);
	}
}

/* One line for a place of the verdict, and one for its callers. */
static int print_first(struct heap_printer *printer, const struct heap_row *row)
{
	char text[CP_TEXT_MAX];
	const bool sampled = heap_printer_is_sampled(printer);
	strbuf_add(&printer->line, "  ");
	heap_printer_bytes(printer, row->live.bytes, row->live.bytes_variance, sampled ? 17 : 9);
	strbuf_add(&printer->line, " in ");
	heap_add_count(&printer->scratch, row->live.blocks);
	strbuf_add(&printer->scratch, llround(row->live.blocks) == 1 ? " block" : " blocks");
	heap_printer_column(printer, 13, true);
	strbuf_add(&printer->line, "  ");
	heap_printer_bold(printer, true);
	heap_printer_who(printer, row, sampled ? 40 : 32);
	heap_printer_bold(printer, false);
	heap_printer_flush(printer);
	strbuf_addf(&printer->line, "%*s", sampled ? 23 : 15, "");
	if (row->rise > 0) {
		strbuf_add(&printer->line,
			   row->growth.verdict == HEAP_GROWTH_GROWING
				   ? "growing "
				   : "more than in the earlier copy, not steadily: ");
		heap_add_rate(&printer->line, &row->growth);
		strbuf_add(&printer->line, "; ");
	}
	strbuf_addf(&printer->line, "oldest %s", heap_format_age(row->oldest_ns, text));
	if (sampled) {
		strbuf_add(&printer->line, "; ");
		heap_add_sampled(&printer->line, row, false);
	}
	const int rc = heap_add_chain(printer->report->analysis, row, &printer->line);
	if (row->n_stacks > 1)
		strbuf_addf(&printer->line, "; and %u more stack%s", row->n_stacks - 1,
			    row->n_stacks == 2 ? "" : "s");
	heap_printer_wrap(printer, sampled ? 23 : 15);
	return rc;
}

static int print_verdict(struct heap_printer *printer)
{
	struct heap_analysis *analysis = printer->report->analysis;
	size_t n = printer->report->options->summary ? SUMMARY_PLACES : FIRST_PLACES;
	if (n > analysis->n_places)
		n = analysis->n_places;
	fputc('\n', printer->out);
	heap_add_verdict(analysis, &printer->scratch);
	heap_printer_bold(printer, true);
	strbuf_add(&printer->line, "VERDICT");
	heap_printer_bold(printer, false);
	strbuf_add(&printer->line, " ");
	strbuf_add(&printer->line, strbuf_text(&printer->scratch));
	strbuf_clear(&printer->scratch);
	heap_printer_wrap(printer, 8);
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++)
		rc = print_first(printer, &analysis->places[i]);
	if (analysis->n_places > n) {
		double rest = analysis->kept.bytes, variance = analysis->kept.bytes_variance;
		for (size_t i = 0; i < n; i++) {
			rest -= analysis->places[i].live.bytes;
			variance -= analysis->places[i].live.bytes_variance;
		}
		strbuf_add(&printer->line, "  ");
		heap_printer_bytes(printer, rest, variance,
				   heap_printer_is_sampled(printer) ? 17 : 9);
		strbuf_addf(&printer->line, " from %zu more place%s", analysis->n_places - n,
			    analysis->n_places - n == 1 ? "" : "s");
		heap_printer_flush(printer);
	}
	strbuf_add(&printer->line, heap_verdict_caution(analysis));
	if (printer->line.n)
		heap_printer_wrap(printer, 0);
	return rc;
}

static const char *const row_names[] = {"stack", "function", "file", "module", "thread"};
static const char *const sort_names[] = {"live", "live at the peak", "allocated bytes",
					 "allocations"};

static int print_row(struct heap_printer *printer, const struct heap_row *row)
{
	const bool by_thread = printer->report->options->by == HEAP_BY_THREAD;
	const int more = heap_printer_is_sampled(printer) ? INTERVAL : 0; /* 0 without variance */
	heap_printer_bytes(printer, row->live.bytes, row->live.bytes_variance, 9 + more);
	heap_printer_count(printer, row->live.blocks, 11);
	age_column(printer, row, 11);
	if (!by_thread) {
		heap_printer_bytes(printer, row->peak_bytes, 0, 11);
		heap_printer_bytes(printer, row->alloc_bytes, row->alloc_bytes_variance, 11 + more);
		heap_printer_count(printer, row->allocs, 13);
	}
	strbuf_add(&printer->line, "  ");
	heap_printer_who(printer, row, (size_t)(by_thread ? 33 + more : 68 + 2 * more));
	heap_printer_flush(printer);
	if (printer->report->options->by != HEAP_BY_SITE)
		return 0;
	if (heap_printer_is_sampled(printer)) {
		strbuf_add(&printer->scratch, "; ");
		heap_add_sampled(&printer->scratch, row, true);
	}
	const int rc = heap_add_chain(printer->report->analysis, row, &printer->scratch);
	if (printer->scratch.n) {
		/* without the "; " that it begins with */
		strbuf_addf(&printer->line, "%*s%s", 32, "", strbuf_text(&printer->scratch) + 2);
		heap_printer_wrap(printer, 32);
	}
	strbuf_clear(&printer->scratch);
	return rc;
}

static int print_rows(struct heap_printer *printer)
{
	const struct heap_report *report = printer->report;
	char text[128];
	snprintf(text, sizeof(text), "By %s, most %s first", row_names[report->options->by],
		 sort_names[report->options->sort]);
	heap_printer_heading(printer, text);
	const int more = heap_printer_is_sampled(printer) ? INTERVAL : 0;
	strbuf_addf(&printer->line, "%*s     blocks     oldest", 9 + more, "live");
	if (report->options->by != HEAP_BY_THREAD)
		strbuf_addf(&printer->line, "    at peak%*s        calls", 11 + more, "allocated");
	strbuf_addf(&printer->line, "  %s",
		    report->options->by == HEAP_BY_SITE ? "in charge"
							: row_names[report->options->by]);
	heap_printer_flush(printer);
	int rc = 0;
	for (size_t i = 0; i < report->n_shown && !rc; i++)
		rc = print_row(printer, &report->analysis->rows[i]);
	if (report->n_shown < report->analysis->n_rows) {
		strbuf_addf(&printer->line, "  and %zu more (--limit 0 shows all)",
			    report->analysis->n_rows - report->n_shown);
		heap_printer_flush(printer);
	}
	return rc;
}

static void print_remark(void *ctx, const char *text)
{
	struct heap_printer *printer = ctx;
	strbuf_add(&printer->line, text);
	heap_printer_wrap(printer, 2);
}

static int print_all(struct heap_printer *printer)
{
	const bool summary = printer->report->options->summary;
	print_head(printer);
	int rc = print_verdict(printer);
	if (!rc && !summary) {
		rc = print_rows(printer);
		if (!rc)
			rc = heap_text_memory(printer);
	}
	fputc('\n', printer->out);
	struct strbuf scratch = {0};
	heap_each_remark(printer->report, &scratch, print_remark, printer);
	if (strbuf_failed(&scratch))
		rc = -ENOMEM;
	strbuf_deinit(&scratch);
	return rc;
}

int heap_text(const struct heap_report *report)
{
	const unsigned width = report->options->width;
	struct heap_printer printer = {
		.report = report,
		.out = report->out,
		.width = width == 0       ? WIDE
			 : width < NARROW ? NARROW
					  : width,
	};
	int rc = print_all(&printer);
	if (strbuf_failed(&printer.line) || strbuf_failed(&printer.scratch))
		rc = -ENOMEM;
	strbuf_deinit(&printer.line);
	strbuf_deinit(&printer.scratch);
	return rc;
}
