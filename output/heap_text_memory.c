/*
 * heap_text_memory.c - the lower part of the heap report for people: what was allocated in all, in
 * which sizes, and what the process's resident memory consists of.
 */
#include "base/text.h"
#include "heap_printer.h"

#include <errno.h>
#include <stdlib.h>

enum { TEMPORARY_SITES = 3 };

static int by_temporary(const void *left, const void *right)
{
	const struct heap_row *const *a = left, *const *b = right;
	return (*a)->temporary < (*b)->temporary ? 1 : (*a)->temporary > (*b)->temporary ? -1 : 0;
}

/* Places whose blocks are freed at once: what could be spared. */
static int print_temporary(struct heap_printer *printer)
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
		heap_printer_count(printer, rows[i]->temporary, 15);
		strbuf_add(&printer->line, " temporary  ");
		heap_printer_who(printer, rows[i], 27);
		heap_printer_flush(printer);
	}
	free(rows);
	return 0;
}

static int print_activity(struct heap_printer *printer)
{
	const struct heap_analysis *analysis = printer->report->analysis;
	const struct heap_header *header = &printer->report->input->snapshot->header;
	char text[CP_TEXT_MAX];
	heap_printer_heading(printer, "Allocation");
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
	if (heap_printer_is_sampled(printer))
		strbuf_add(&printer->line, "; temporary allocations are not known when sampled");
	else if (analysis->allocs > 0)
		strbuf_addf(&printer->line,
			    "; %.0f %% temporary, that is freed by the next event of their thread",
			    100 * analysis->temporary / analysis->allocs);
	heap_printer_wrap(printer, 2);
	return heap_printer_is_sampled(printer) ? 0 : print_temporary(printer);
}

static void print_size(struct heap_printer *printer, unsigned i, double all)
{
	const struct heap_snapshot *snapshot = printer->report->input->snapshot;
	char low[CP_TEXT_MAX], high[CP_TEXT_MAX];
	const double share = (double)snapshot->size_allocs[i] / all;
	cp_format_bytes(i ? UINT64_C(1) << (i - 1) : 0, low);
	cp_format_bytes(i ? (UINT64_C(1) << i) - (i > 10 ? 0 : 1) : 0, high);
	strbuf_addf(&printer->scratch, i > 1 ? "%s - %s" : "%s", low, high);
	heap_printer_column(printer, 22, false);
	heap_printer_count(printer, (double)snapshot->size_allocs[i], 15);
	heap_printer_bytes(printer, (double)snapshot->size_bytes[i], 0, 12);
	strbuf_add(&printer->line, "  ");
	for (int bar = 0; bar < (int)(share * 40 + 0.5); bar++)
		strbuf_add(&printer->line, "#");
	heap_printer_flush(printer);
}

static void print_sizes(struct heap_printer *printer)
{
	const struct heap_snapshot *snapshot = printer->report->input->snapshot;
	double all = 0;
	for (unsigned i = 0; i < HEAP_SIZE_CLASSES; i++)
		all += (double)snapshot->size_allocs[i];
	if (all <= 0)
		return;
	heap_printer_heading(printer, "Requested sizes");
	for (unsigned i = 0; i < HEAP_SIZE_CLASSES; i++)
		if (snapshot->size_allocs[i])
			print_size(printer, i, all);
}

static void rss_line(struct heap_printer *printer, uint64_t bytes, const char *what)
{
	if (bytes == 0)
		return;
	heap_printer_bytes(printer, (double)bytes, 0, 11);
	strbuf_addf(&printer->line, "  %s", what);
	heap_printer_flush(printer);
}

static void print_rss(struct heap_printer *printer)
{
	const struct heap_rss *rss = printer->report->input->rss;
	char text[CP_TEXT_MAX], title[64];
	if (!rss) {
		heap_printer_heading(printer, "Resident memory");
		strbuf_addf(&printer->line, "unknown: %s", printer->report->input->rss_unknown);
		heap_printer_wrap(printer, 2);
		return;
	}
	snprintf(title, sizeof(title), "Resident memory: %s",
		 cp_format_bytes(rss->total_bytes, text));
	heap_printer_heading(printer, title);
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

int heap_text_memory(struct heap_printer *printer)
{
	const int rc = print_activity(printer);
	print_sizes(printer);
	print_rss(printer);
	return rc;
}
