#include "flamegraph.h"

#include "base/text.h"
#include "flame_cells.h"
#include "flame_heading.h"
#include "flame_palette.h"
#include "flame_tree.h"
#include "safe_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The files of the same names, compiled in by cmake/CprofEmbed.cmake. */
extern const char flamegraph_css[];
extern const char flamegraph_model_js[];
extern const char flamegraph_view_js[];
extern const char flamegraph_controls_js[];

/* A file stays below this, whatever the profile. */
#define MAX_BYTES 1000000u

/* The layout in px; the script gets it through the data, so that it is defined here alone. */
enum {
	WIDTH = 1200,
	MARGIN = 10,
	HEADER = 62,      /* above the topmost level */
	FOOTER = 74,      /* below the lowest */
	FOOTER_LINE = 18, /* more, where marks are explained */
	LEVEL = 18,
	CELL = 17, /* height of a cell */
	BASELINE = 13,
	LABEL_MARGIN = 3,
};
/* Advance of the usual monospace fonts at 12 px; the script measures it, the picture cannot. */
#define COLUMN_PX 7.23
#define MIN_PX 0.1
#define MIN_DRAWN_PX 0.4

struct graph {
	const struct flame_tree *tree;
	const struct flame_cells *cells;
	const struct flame_heading *heading;
	const char *quality, *marks;
	bool icicle;
	FILE *out;
};

static int footer_height(const struct graph *graph)
{
	return *graph->marks ? FOOTER + FOOTER_LINE : FOOTER;
}

static int64_t total_of(const struct graph *graph)
{
	return graph->tree->nodes[FLAME_ROOT].total;
}

/* Tenths of a px, left to right, of a number of samples. */
static long tenths(const struct graph *graph, int64_t samples)
{
	double px = (double)samples / (double)total_of(graph) * (WIDTH - 2 * MARGIN);
	return (long)(px * 10 + 0.5);
}

static void write_px(FILE *out, const char *attribute, long px_tenths)
{
	fprintf(out, " %s=\"%ld", attribute, px_tenths / 10);
	if (px_tenths % 10)
		fprintf(out, ".%ld", px_tenths % 10);
	putc('"', out);
}

static const char *cell_name(const struct graph *graph, const struct flame_cell *cell)
{
	if (cell->entry == FLAME_NONE)
		return "(merged)";
	string_id name = graph->cells->entries.entries[cell->entry].name;
	return interner_get(&graph->cells->entries.strings, name);
}

static void write_title(const struct graph *graph, const struct flame_cell *cell)
{
	char name[4 * FLAME_TITLE_CHARS + 1], count[CP_TEXT_MAX];
	safe_text_copy(cell_name(graph, cell), FLAME_TITLE_CHARS, name);
	fputs("<title>", graph->out);
	safe_text_write_xml(graph->out, name);
	if (measure_is_time(&graph->tree->measure))
		fprintf(graph->out, " (%s", cp_format_duration((uint64_t)cell->total, count));
	else if (measure_is_bytes(&graph->tree->measure))
		fprintf(graph->out, " (%s", cp_format_bytes((uint64_t)cell->total, count));
	else
		fprintf(graph->out, " (%s %s", cp_format_count((uint64_t)cell->total, count),
			graph->heading->unit);
	fprintf(graph->out, ", %.2f %%)</title>", amount_pct(cell->total, total_of(graph)));
}

static void write_label(const struct graph *graph, const struct flame_cell *cell, long x,
			long width, long y)
{
	char label[4 * WIDTH];
	size_t columns = (size_t)(((double)width / 10 - 2 * LABEL_MARGIN) / COLUMN_PX);
	safe_text_copy_columns(cell_name(graph, cell), columns, label);
	fputs("<text class=\"label\"", graph->out);
	write_px(graph->out, "x", x + 10L * LABEL_MARGIN);
	write_px(graph->out, "y", (y + BASELINE) * 10);
	putc('>', graph->out);
	safe_text_write_xml(graph->out, label);
	fputs("</text>", graph->out);
}

static void write_cell(const struct graph *graph, const struct flame_cell *cell)
{
	long x = tenths(graph, cell->start), end = tenths(graph, cell->start + cell->total);
	long level = graph->icicle ? (long)cell->depth
				   : (long)(graph->cells->max_drawn_depth - cell->depth);
	long y = HEADER + level * LEVEL;
	long width = end - x, gap = width > 30 ? 6 : width > 10 ? 2 : 0;
	bool titled = width >= (long)(FLAME_TITLE_MIN_PX * 10);
	unsigned class = cell->entry == FLAME_NONE
				 ? flame_palette_class(FLAME_MERGED, "")
				 : graph->cells->entries.entries[cell->entry].class;
	char class_name[3];
	flame_palette_class_name(class, class_name);
	if (titled) {
		fputs("<g>", graph->out);
		write_title(graph, cell);
	}
	fputs("<rect", graph->out);
	write_px(graph->out, "x", x + 10L * MARGIN);
	write_px(graph->out, "y", y * 10);
	write_px(graph->out, "width", width > gap ? width - gap : 1);
	fprintf(graph->out, " height=\"%d\" class=\"%s\"/>", CELL, class_name);
	if (width >= (long)(FLAME_LABEL_MIN_PX * 10))
		write_label(graph, cell, x + 10L * MARGIN, width, y);
	fputs(titled ? "</g>\n" : "\n", graph->out);
}

static void write_style(FILE *out)
{
	fputs("<style>\n", out);
	flame_palette_write_css(out);
	fputs(flamegraph_css, out);
	fputs("</style>\n", out);
}

static void write_text(FILE *out, const char *attributes, const char *text)
{
	fprintf(out, "<text %s>", attributes);
	safe_text_write_xml(out, text);
	fputs("</text>\n", out);
}

static void write_header(const struct graph *graph)
{
	FILE *out = graph->out;
	char title[4 * FLAME_HEADING_CHARS + 1];
	fprintf(out,
		"<g id=\"header\"><rect class=\"paper\" width=\"%d\" height=\"%d\" "
		"fill=\"#fff\"/>\n",
		WIDTH, HEADER - 4);
	/* 17 px semi-bold: the widest usual fonts take 10 px a character */
	safe_text_copy_columns(graph->heading->title, (WIDTH - 2 * MARGIN) / 10, title);
	write_text(out, "id=\"title\" class=\"title\" x=\"10\" y=\"27\"", title);
	safe_text_copy_columns(graph->heading->subtitle, (WIDTH - 2 * MARGIN) / 7, title);
	write_text(out, "id=\"subtitle\" class=\"quiet\" x=\"10\" y=\"48\"", title);
	fputs("<text id=\"matched\" text-anchor=\"end\" x=\"1190\" y=\"54\"/></g>\n", out);
}

static long write_swatch(const struct graph *graph, long x, enum flame_family family,
			 const char *text)
{
	FILE *out = graph->out;
	char class_name[3];
	unsigned shade = family == FLAME_PLAIN || family == FLAME_MERGED ? 0 : FLAME_SHADES / 2;
	flame_palette_class_name(family * 16u + shade, class_name);
	fprintf(out,
		"<rect class=\"%s\" x=\"%ld\" y=\"29\" width=\"12\" height=\"12\" rx=\"2\"/>"
		"<text x=\"%ld\" y=\"39\">%s</text>\n",
		class_name, x, x + 17, text);
	return x + 17 + (long)strlen(text) * 7 + 16;
}

static void write_footer(const struct graph *graph, long y)
{
	FILE *out = graph->out;
	bool present[FLAME_FAMILIES] = {false};
	for (size_t i = 0; i < graph->cells->entries.n; i++)
		present[graph->cells->entries.entries[i].class / 16] = true;
	fprintf(out,
		"<g id=\"footer\" transform=\"translate(0 %ld)\">"
		"<rect class=\"paper\" width=\"%d\" height=\"%d\" fill=\"#fff\"/>"
		"<line class=\"rule\" x1=\"0\" x2=\"%d\" y1=\"1.5\" y2=\"1.5\"/>\n",
		y, WIDTH, footer_height(graph), WIDTH);
	write_text(out, "id=\"status\" x=\"10\" y=\"19\"",
		   "Open this file in a browser to zoom, to search and to see details");
	static const char *const families[] = {
		[FLAME_USER] = "user code",    [FLAME_INLINED] = "inlined",
		[FLAME_KERNEL] = "kernel",     [FLAME_JIT] = "JIT code",
		[FLAME_UNNAMED] = "no symbol", [FLAME_PLAIN] = "process, marker",
	};
	long x = MARGIN;
	for (int family = 0; family <= FLAME_PLAIN; family++) {
		if (present[family])
			x = write_swatch(graph, x, (enum flame_family)family, families[family]);
	}
	if (graph->cells->merged_frames)
		write_swatch(graph, x, FLAME_MERGED, "merged");
	write_text(out, "id=\"quality\" class=\"quiet\" x=\"10\" y=\"60\"", graph->quality);
	if (*graph->marks)
		write_text(out, "id=\"marks\" class=\"quiet\" x=\"10\" y=\"78\"", graph->marks);
	fputs("</g>\n", out);
}

static void write_strings(const struct graph *graph)
{
	const struct interner *strings = &graph->cells->entries.strings;
	fputs("\"strings\":[", graph->out);
	for (uint32_t i = 0; i < strings->n; i++) {
		if (i)
			putc(',', graph->out);
		safe_text_write_json(graph->out, interner_get(strings, (string_id){i}));
	}
	fputs("],\n\"entries\":[", graph->out);
	for (size_t i = 0; i < graph->cells->entries.n; i++) {
		const struct flame_entry *entry = &graph->cells->entries.entries[i];
		fprintf(graph->out, "%s%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%u", i ? "," : "",
			entry->name.v, entry->file.v, entry->module.v, entry->class);
	}
	fputs("],\n", graph->out);
}

static void write_data(const struct graph *graph)
{
	FILE *out = graph->out;
	const struct flame_cells *cells = graph->cells;
	fprintf(out,
		"<script type=\"application/json\" id=\"data\">{\"geometry\":{\"margin\":%d,"
		"\"header\":%d,\"footer\":%d,\"level\":%d,\"cell\":%d,\"baseline\":%d,"
		"\"column\":%.2f},\n\"icicle\":%s,\"title\":",
		MARGIN, HEADER, footer_height(graph), LEVEL, CELL, BASELINE, COLUMN_PX,
		graph->icicle ? "true" : "false");
	safe_text_write_json(out, graph->heading->title);
	fputs(",\"subtitle\":", out);
	safe_text_write_json(out, graph->heading->subtitle);
	fputs(",\"unit\":", out);
	safe_text_write_json(out, graph->heading->unit);
	fputs(",\n", out);
	write_strings(graph);
	fputs("\"cells\":[", out);
	uint32_t path = 0; /* cells from the root to the last one written */
	for (size_t i = 0; i < cells->n; i++) {
		const struct flame_cell *cell = &cells->cells[i];
		fprintf(out, "%s%" PRIu32, i ? "," : "", path - cell->depth);
		path = cell->depth + 1;
		if (cell->entry == FLAME_NONE)
			fprintf(out, ",-1,%" PRId64 ",%" PRIu32, cell->total, cell->frames);
		else
			fprintf(out, ",%" PRIu32 ",%" PRId64 ",%" PRIu32, cell->entry, cell->total,
				cell->line);
	}
	fputs("]}</script>\n", out);
}

static void write_script(FILE *out)
{
	fputs("<script><![CDATA[(function () {\n\"use strict\";\n", out);
	fputs(flamegraph_model_js, out);
	fputs(flamegraph_view_js, out);
	fputs(flamegraph_controls_js, out);
	fputs("})();\n]]></script>\n", out);
}

static void write_svg(const struct graph *graph)
{
	FILE *out = graph->out;
	const struct flame_cells *cells = graph->cells;
	long footer = HEADER + ((long)cells->max_drawn_depth + 1) * LEVEL;
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%ld\" "
		"viewBox=\"0 0 %d %ld\" data-total-samples=\"%" PRId64 "\" "
		"data-merged-frames=\"%" PRIu64 "\" data-merged-samples=\"%" PRId64 "\">\n<title>",
		WIDTH, footer + footer_height(graph), WIDTH, footer + footer_height(graph),
		total_of(graph), cells->merged_frames, cells->merged_samples);
	safe_text_write_xml(out, graph->heading->title);
	fputs("</title>\n", out);
	write_style(out);
	fputs("<rect class=\"paper\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
	      "<g id=\"cells\">\n",
	      out);
	for (size_t i = 0; i < cells->n; i++) {
		if (cells->cells[i].drawn)
			write_cell(graph, &cells->cells[i]);
	}
	fputs("</g>\n", out);
	write_header(graph);
	write_footer(graph, footer);
	write_data(graph);
	write_script(out);
	fputs("</svg>\n", out);
}

/* At most what the file holds besides cells and their names. */
static size_t fixed_bytes(const struct flame_heading *heading)
{
	size_t palette = 2 * FLAME_FAMILIES * FLAME_SHADES * sizeof(".u0{fill:#rrggbb}");
	/* a character of one byte may become &quot; and each text is there up to three times */
	size_t headings = 3 * 6 * (strlen(heading->title) + strlen(heading->subtitle));
	return strlen(flamegraph_css) + strlen(flamegraph_model_js) + strlen(flamegraph_view_js) +
	       strlen(flamegraph_controls_js) + palette + headings +
	       3 * 6 * FLAME_NAME_CHARS /* the strings of the first entry that no longer fitted */ +
	       2 * 6 * FLAME_HEADING_CHARS /* the lines about quality and marks */ +
	       4096 /* the tags */;
}

static int write_tree(const struct flame_tree *tree, const struct flamegraph_options *options,
		      FILE *out)
{
	struct flame_heading heading;
	struct flame_cells *cells = NULL;
	char *quality = NULL, *marks = NULL;
	int rc = flame_heading_init(&heading, tree, options->title, options->thread_re);
	if (rc)
		return rc;
	struct flame_cells_options limits = {
		.width_px = WIDTH - 2 * MARGIN,
		.min_px = MIN_PX,
		.min_drawn_px = MIN_DRAWN_PX,
		.budget_bytes = MAX_BYTES - fixed_bytes(&heading),
	};
	rc = flame_cells_create(tree, &limits, &cells);
	if (!rc) {
		quality = flame_heading_quality(tree, cells);
		marks = flame_heading_marks(tree);
		rc = quality && marks ? 0 : -ENOMEM;
	}
	if (!rc) {
		struct graph graph = {
			.tree = tree,
			.cells = cells,
			.heading = &heading,
			.quality = quality,
			.marks = marks,
			.icicle = options->icicle,
			.out = out,
		};
		write_svg(&graph);
	}
	free(quality);
	free(marks);
	flame_cells_destroy(cells);
	flame_heading_deinit(&heading);
	return rc;
}

int flamegraph_write(const struct profile *profile, const struct flamegraph_options *options,
		     FILE *out, struct cp_err *err)
{
	struct flame_tree *tree;
	int rc = flame_tree_create(profile, options->thread_re, &tree, err);
	if (rc)
		return rc;
	rc = write_tree(tree, options, out);
	flame_tree_destroy(tree);
	if (rc)
		return cp_fail_nomem(err);
	errno = 0;
	if (fflush(out) || ferror(out))
		return cp_fail(err, -EIO, "the flame graph could not be written: %s",
			       errno ? strerror(errno) : "output error");
	return 0;
}
