/* The heap report for people: the verdict first, then what stands behind it. */
#include "base/text.h"
#include "heap_parts.h"
#include "short_name.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_PLACES = 3,
	SUMMARY_PLACES = 5,
	NARROW = 60,
	WIDE = 120,
	TEMPORARY_SITES = 3,
	INTERVAL = 8
};

struct printer {
	const struct heap_report *report;
	FILE *out;
	struct strbuf line, scratch;
	unsigned width;
};

static void flush(struct printer *printer)
{
	fputs(strbuf_text(&printer->line), printer->out);
	fputc('\n', printer->out);
	strbuf_clear(&printer->line);
}

static void bold(struct printer *printer, bool on)
{
	if (printer->report->options->colour)
		strbuf_add(&printer->line, on ? "\033[1m" : "\033[0m");
}

/* The line so far, broken at spaces; what follows is indented by @indent. */
static void flush_wrapped(struct printer *printer, unsigned indent)
{
	const char *text = strbuf_text(&printer->line);
	unsigned column = 0;
	bool first = true;
	while (*text) {
		const size_t n = strcspn(text, " ");
		char word[512];
		snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word) - 1),
			 text);
		const unsigned columns = (unsigned)strbuf_columns(word);
		if (!first && column + 1 + columns > printer->width) {
			fprintf(printer->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', printer->out);
			column++;
		}
		fwrite(text, 1, n, printer->out);
		column += columns;
		first = false;
		text += n + (text[n] == ' ');
	}
	fputc('\n', printer->out);
	strbuf_clear(&printer->line);
}

static void heading(struct printer *printer, const char *text)
{
	fputc('\n', printer->out);
	bold(printer, true);
	strbuf_add(&printer->line, text);
	bold(printer, false);
	flush(printer);
}

static void column(struct printer *printer, int width, bool left)
{
	const char *text = strbuf_text(&printer->scratch);
	const int used = (int)strbuf_columns(text);
	const int pad = width > used ? width - used : 0;
	if (!left)
		strbuf_addf(&printer->line, "%*s", pad, "");
	strbuf_add(&printer->line, text);
	if (left)
		strbuf_addf(&printer->line, "%*s", pad, "");
	strbuf_clear(&printer->scratch);
}

static bool is_sampled(const struct printer *printer)
{
	return printer->report->input->snapshot->header.sample_bytes != 0;
}

static void bytes_column(struct printer *printer, double bytes, double variance, int width)
{
	heap_add_bytes(&printer->scratch, bytes, variance);
	column(printer, width, false);
}

static void count_column(struct printer *printer, double count, int width)
{
	heap_add_count(&printer->scratch, count);
	column(printer, width, false);
}

static void age_column(struct printer *printer, const struct heap_row *row, int width)
{
	char text[CP_TEXT_MAX];
	strbuf_add(&printer->scratch, row->live.raw ? heap_format_age(row->oldest_ns, text) : "-");
	column(printer, width, false);
}

/* "parse_line  src/parse.c:14" in what is left of the line. */
static void who(struct printer *printer, const struct heap_row *row, size_t used)
{
	struct strbuf place = {0}, name = {0};
	const size_t room = printer->width > used + 30 ? printer->width - used : 30;
	strbuf_add_printable(&name, row->name);
	if (printer->report->options->by <= HEAP_BY_FUNCTION)
		heap_add_place(row, &place);
	const size_t place_columns = strbuf_columns(strbuf_text(&place));
	const size_t name_columns = strbuf_columns(strbuf_text(&name));
	const size_t for_place = place_columns < room / 2      ? place_columns
				 : name_columns + 2 < room / 2 ? room - name_columns - 2
							       : room / 2;
	short_name_add(&printer->line, strbuf_text(&name),
		       room > for_place + 10 ? room - for_place - 2 : 8);
	if (place.n) {
		strbuf_add(&printer->line, "  ");
		short_path_add(&printer->line, strbuf_text(&place), for_place > 8 ? for_place : 8);
	}
	strbuf_deinit(&place);
	strbuf_deinit(&name);
}

static void print_head(struct printer *printer)
{
	strbuf_add(&printer->line, "Heap of ");
	heap_add_target(printer->report, &printer->line);
	strbuf_add(&printer->line, ": ");
	heap_add_method(printer->report, &printer->line);
	flush_wrapped(printer, 8);
	if (printer->report->input->since) {
		char text[CP_TEXT_MAX];
		const struct heap_target *then = printer->report->input->since_target;
		const uint64_t now_ns = printer->report->input->target->now_ns;
		strbuf_addf(&printer->line, "Since %s, %s%s earlier",
			    printer->report->input->since_path,
			    then->now_is_guess ? "at most " : "",
			    cp_format_duration(now_ns > then->now_ns ? now_ns - then->now_ns : 0,
					       text));
		flush_wrapped(printer, 8);
	}
}

/* One line for a place of the verdict, and one for its callers. */
static int print_first(struct printer *printer, const struct heap_row *row)
{
	char text[CP_TEXT_MAX];
	const bool sampled = is_sampled(printer);
	strbuf_add(&printer->line, "  ");
	bytes_column(printer, row->live.bytes, row->live.bytes_variance, sampled ? 17 : 9);
	strbuf_add(&printer->line, " in ");
	heap_add_count(&printer->scratch, row->live.blocks);
	strbuf_add(&printer->scratch, llround(row->live.blocks) == 1 ? " block" : " blocks");
	column(printer, 13, true);
	strbuf_add(&printer->line, "  ");
	bold(printer, true);
	who(printer, row, sampled ? 40 : 32);
	bold(printer, false);
	flush(printer);
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
	flush_wrapped(printer, sampled ? 23 : 15);
	return rc;
}

static int print_verdict(struct printer *printer)
{
	struct heap_analysis *analysis = printer->report->analysis;
	size_t n = printer->report->options->summary ? SUMMARY_PLACES : FIRST_PLACES;
	if (n > analysis->n_places)
		n = analysis->n_places;
	fputc('\n', printer->out);
	heap_add_verdict(analysis, &printer->scratch);
	bold(printer, true);
	strbuf_add(&printer->line, "VERDICT");
	bold(printer, false);
	strbuf_add(&printer->line, " ");
	strbuf_add(&printer->line, strbuf_text(&printer->scratch));
	strbuf_clear(&printer->scratch);
	flush_wrapped(printer, 8);
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
		bytes_column(printer, rest, variance, is_sampled(printer) ? 17 : 9);
		strbuf_addf(&printer->line, " from %zu more place%s", analysis->n_places - n,
			    analysis->n_places - n == 1 ? "" : "s");
		flush(printer);
	}
	strbuf_add(&printer->line, heap_verdict_caution(analysis));
	if (printer->line.n)
		flush_wrapped(printer, 0);
	return rc;
}

static const char *const row_names[] = {"stack", "function", "file", "module", "thread"};
static const char *const sort_names[] = {"live", "live at the peak", "allocated bytes",
					 "allocations"};

static int print_row(struct printer *printer, const struct heap_row *row)
{
	const bool by_thread = printer->report->options->by == HEAP_BY_THREAD;
	const int more = is_sampled(printer) ? INTERVAL : 0; /* 0 without variance */
	bytes_column(printer, row->live.bytes, row->live.bytes_variance, 9 + more);
	count_column(printer, row->live.blocks, 11);
	age_column(printer, row, 11);
	if (!by_thread) {
		bytes_column(printer, row->peak_bytes, 0, 11);
		bytes_column(printer, row->alloc_bytes, row->alloc_bytes_variance, 11 + more);
		count_column(printer, row->allocs, 13);
	}
	strbuf_add(&printer->line, "  ");
	who(printer, row, (size_t)(by_thread ? 33 + more : 68 + 2 * more));
	flush(printer);
	if (printer->report->options->by != HEAP_BY_SITE)
		return 0;
	if (is_sampled(printer)) {
		strbuf_add(&printer->scratch, "; ");
		heap_add_sampled(&printer->scratch, row, true);
	}
	const int rc = heap_add_chain(printer->report->analysis, row, &printer->scratch);
	if (printer->scratch.n) {
		/* without the "; " that it begins with */
		strbuf_addf(&printer->line, "%*s%s", 32, "", strbuf_text(&printer->scratch) + 2);
		flush_wrapped(printer, 32);
	}
	strbuf_clear(&printer->scratch);
	return rc;
}

static int print_rows(struct printer *printer)
{
	const struct heap_report *report = printer->report;
	char text[128];
	snprintf(text, sizeof(text), "By %s, most %s first", row_names[report->options->by],
		 sort_names[report->options->sort]);
	heading(printer, text);
	const int more = is_sampled(printer) ? INTERVAL : 0;
	strbuf_addf(&printer->line, "%*s     blocks     oldest", 9 + more, "live");
	if (report->options->by != HEAP_BY_THREAD)
		strbuf_addf(&printer->line, "    at peak%*s        calls", 11 + more, "allocated");
	strbuf_addf(&printer->line, "  %s",
		    report->options->by == HEAP_BY_SITE ? "in charge"
							: row_names[report->options->by]);
	flush(printer);
	int rc = 0;
	for (size_t i = 0; i < report->n_shown && !rc; i++)
		rc = print_row(printer, &report->analysis->rows[i]);
	if (report->n_shown < report->analysis->n_rows) {
		strbuf_addf(&printer->line, "  and %zu more (--limit 0 shows all)",
			    report->analysis->n_rows - report->n_shown);
		flush(printer);
	}
	return rc;
}

static int by_temporary(const void *left, const void *right)
{
	const struct heap_row *const *a = left, *const *b = right;
	return (*a)->temporary < (*b)->temporary ? 1 : (*a)->temporary > (*b)->temporary ? -1 : 0;
}

/* Places whose blocks are freed at once: what could be spared. */
static int print_temporary(struct printer *printer)
{
	const struct heap_analysis *analysis = printer->report->analysis;
	const struct heap_row **rows =
		calloc((size_t)analysis->n_sites + 1, sizeof(struct heap_row *));
	if (!rows)
		return -ENOMEM;
	size_t n = 0;
	for (uint32_t i = 0; i < analysis->n_sites; i++)
		if (analysis->sites[i].temporary > 0)
			rows[n++] = &analysis->sites[i];
	qsort(rows, n, sizeof(struct heap_row *), by_temporary);
	for (size_t i = 0; i < n && i < TEMPORARY_SITES; i++) {
		count_column(printer, rows[i]->temporary, 15);
		strbuf_add(&printer->line, " temporary  ");
		who(printer, rows[i], 27);
		flush(printer);
	}
	free(rows);
	return 0;
}

static int print_activity(struct printer *printer)
{
	const struct heap_analysis *analysis = printer->report->analysis;
	const struct heap_header *header = &printer->report->input->snapshot->header;
	char text[CP_TEXT_MAX];
	heading(printer, "Allocation");
	heap_add_count(&printer->line, analysis->allocs);
	strbuf_add(&printer->line, " allocations of ");
	heap_add_bytes(&printer->line, analysis->alloc_bytes, analysis->alloc_bytes_variance);
	strbuf_addf(&printer->line, " so far by %zu stacks; at the peak ", analysis->n_used_sites);
	heap_add_bytes(&printer->line, (double)header->peak_bytes, 0);
	const uint64_t peak_ns = header->peak_monotonic_ns > header->start_monotonic_ns
					 ? header->peak_monotonic_ns - header->start_monotonic_ns
					 : 0;
	strbuf_addf(&printer->line, " live, %s after the start", cp_format_duration(peak_ns, text));
	if (header->max_threads > 1)
		strbuf_addf(
			&printer->line, " (%u threads fold it in steps: within %s)",
			header->max_threads,
			cp_format_bytes((uint64_t)header->max_threads * header->fold_bytes, text));
	if (is_sampled(printer))
		strbuf_add(&printer->line, "; temporary allocations are not known when sampled");
	else if (analysis->allocs > 0)
		strbuf_addf(&printer->line,
			    "; %.0f %% temporary, that is freed by the next event of their thread",
			    100 * analysis->temporary / analysis->allocs);
	flush_wrapped(printer, 2);
	return is_sampled(printer) ? 0 : print_temporary(printer);
}

static void print_size(struct printer *printer, unsigned i, double all)
{
	const struct heap_snapshot *snapshot = printer->report->input->snapshot;
	char low[CP_TEXT_MAX], high[CP_TEXT_MAX];
	const double share = (double)snapshot->size_allocs[i] / all;
	cp_format_bytes(i ? UINT64_C(1) << (i - 1) : 0, low);
	cp_format_bytes(i ? (UINT64_C(1) << i) - (i > 10 ? 0 : 1) : 0, high);
	strbuf_addf(&printer->scratch, i > 1 ? "%s - %s" : "%s", low, high);
	column(printer, 22, false);
	count_column(printer, (double)snapshot->size_allocs[i], 15);
	bytes_column(printer, (double)snapshot->size_bytes[i], 0, 12);
	strbuf_add(&printer->line, "  ");
	for (int bar = 0; bar < (int)(share * 40 + 0.5); bar++)
		strbuf_add(&printer->line, "#");
	flush(printer);
}

static void print_sizes(struct printer *printer)
{
	const struct heap_snapshot *snapshot = printer->report->input->snapshot;
	double all = 0;
	for (unsigned i = 0; i < HEAP_SIZE_CLASSES; i++)
		all += (double)snapshot->size_allocs[i];
	if (all <= 0)
		return;
	heading(printer, "Requested sizes");
	for (unsigned i = 0; i < HEAP_SIZE_CLASSES; i++)
		if (snapshot->size_allocs[i])
			print_size(printer, i, all);
}

static void rss_line(struct printer *printer, uint64_t bytes, const char *what)
{
	if (bytes == 0)
		return;
	bytes_column(printer, (double)bytes, 0, 11);
	strbuf_addf(&printer->line, "  %s", what);
	flush(printer);
}

static void print_rss(struct printer *printer)
{
	const struct heap_rss *rss = printer->report->input->rss;
	char text[CP_TEXT_MAX], title[64];
	if (!rss) {
		heading(printer, "Resident memory");
		strbuf_addf(&printer->line, "unknown: %s", printer->report->input->rss_unknown);
		flush_wrapped(printer, 2);
		return;
	}
	snprintf(title, sizeof(title), "Resident memory: %s",
		 cp_format_bytes(rss->total_bytes, text));
	heading(printer, title);
	const bool resident = rss->malloc_bytes >= rss->live_bytes;
	rss_line(printer, resident ? rss->live_bytes : rss->malloc_bytes, "live blocks");
	if (resident)
		rss_line(printer, rss->malloc_bytes - rss->live_bytes,
			 "the allocator: its own data, fragmentation, freed memory it keeps");
	rss_line(printer, rss->other_anonymous_bytes,
		 "other private memory, not from malloc (mmap, stacks of threads, .bss)");
	rss_line(printer, rss->stack_bytes, "the main thread's stack");
	rss_line(printer, rss->file_bytes, "binaries and other mapped files");
	rss_line(printer, rss->shared_bytes, "shared memory");
	rss_line(printer, rss->recorder_bytes, "this recording: its file and tables");
	if (!resident)
		rss_line(printer, rss->live_bytes - rss->malloc_bytes,
			 "of live blocks is not resident: never touched, or swapped out");
}

static void print_remark(void *ctx, const char *text)
{
	struct printer *printer = ctx;
	strbuf_add(&printer->line, text);
	flush_wrapped(printer, 2);
}

static int print_all(struct printer *printer)
{
	const bool summary = printer->report->options->summary;
	print_head(printer);
	int rc = print_verdict(printer);
	if (!rc && !summary) {
		rc = print_rows(printer);
		if (!rc)
			rc = print_activity(printer);
		print_sizes(printer);
		print_rss(printer);
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
	struct printer printer = {
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
