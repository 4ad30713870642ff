#include "heap_printer.h"

#include "base/text.h"
#include "short_name.h"

#include <stdlib.h>
#include <string.h>

void heap_printer_flush(struct heap_printer *printer)
{
	fputs(strbuf_text(&printer->line), printer->out);
	fputc('\n', printer->out);
	strbuf_clear(&printer->line);
}

void heap_printer_bold(struct heap_printer *printer, bool on)
{
	if (printer->report->options->colour)
		strbuf_add(&printer->line, on ? "\033[1m" : "\033[0m");
}

/* The line so far, broken at spaces; what follows is indented by @indent. */
void heap_printer_wrap(struct heap_printer *printer, unsigned indent)
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

void heap_printer_heading(struct heap_printer *printer, const char *text)
{
	fputc('\n', printer->out);
	heap_printer_bold(printer, true);
	strbuf_add(&printer->line, text);
	heap_printer_bold(printer, false);
	heap_printer_flush(printer);
}

void heap_printer_column(struct heap_printer *printer, int width, bool left)
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

bool heap_printer_is_sampled(const struct heap_printer *printer)
{
	return printer->report->input->snapshot->header.sample_bytes != 0;
}

void heap_printer_bytes(struct heap_printer *printer, double bytes, double variance, int width)
{
	heap_add_bytes(&printer->scratch, bytes, variance);
	heap_printer_column(printer, width, false);
}

void heap_printer_count(struct heap_printer *printer, double count, int width)
{
	heap_add_count(&printer->scratch, count);
	heap_printer_column(printer, width, false);
}

/* "parse_line  src/parse.c:14" in what is left of the line. */
void heap_printer_who(struct heap_printer *printer, const struct heap_row *row, size_t used)
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
