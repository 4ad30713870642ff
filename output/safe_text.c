#include "safe_text.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

#define REPLACEMENT 0xfffdu
#define ELLIPSIS 0x2026u

static bool is_harmful(uint32_t point)
{
	return utf8_is_control(point) || (point & 0xfffe) == 0xfffe || /* noncharacters */
	       (point >= 0xfdd0 && point < 0xfdf0) ||                  /* noncharacters */
	       point == 0xfeff;                                        /* byte order mark */
}

uint32_t safe_text_next(const char **text)
{
	if (**text == '\0')
		return 0;
	uint32_t point = REPLACEMENT;
	size_t n = utf8_decode(*text, UTF8_MAX_BYTES, &point);
	*text += n ? n : 1;
	return is_harmful(point) ? REPLACEMENT : point;
}

static size_t columns_of(uint32_t point)
{
	return point < 0x1100 || point == REPLACEMENT || point == ELLIPSIS ? 1 : 2;
}

static size_t encode(uint32_t point, char *out)
{
	if (point < 0x80) {
		out[0] = (char)point;
		return 1;
	}
	size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = n; i-- > 1; point >>= 6)
		out[i] = (char)(0x80 | (point & 0x3f));
	out[0] = (char)(lead[n] | point);
	return n;
}

/* @wide: count columns, not characters */
static size_t copy(const char *text, size_t max, bool wide, char *buf)
{
	size_t used = 0, n = 0;
	size_t cut = 0; /* bytes that leave room for the ellipsis */
	uint32_t point;
	while ((point = safe_text_next(&text))) {
		size_t width = wide ? columns_of(point) : 1;
		if (n + width > max) {
			used = cut;
			if (max > 0)
				used += encode(ELLIPSIS, buf + used);
			break;
		}
		used += encode(point, buf + used);
		n += width;
		if (n < max)
			cut = used;
	}
	buf[used] = '\0';
	return used;
}

size_t safe_text_copy(const char *text, size_t max_chars, char *buf)
{
	return copy(text, max_chars, false, buf);
}

size_t safe_text_copy_columns(const char *text, size_t max_columns, char *buf)
{
	return copy(text, max_columns, true, buf);
}

/* The escaped form of one character. Return: its length. */
static size_t escape_xml(uint32_t point, char buf[16])
{
	switch (point) {
	case '<':
		return (size_t)sprintf(buf, "&lt;");
	case '>':
		return (size_t)sprintf(buf, "&gt;");
	case '&':
		return (size_t)sprintf(buf, "&amp;");
	case '"':
		return (size_t)sprintf(buf, "&quot;");
	case '\'':
		return (size_t)sprintf(buf, "&#39;");
	default:
		return encode(point, buf);
	}
}

static size_t escape_json(uint32_t point, char buf[16])
{
	switch (point) {
	case '<':
	case '>':
	case '&':
	case '\'':
		return (size_t)sprintf(buf, "\\u%04x", (unsigned)point);
	case '"':
	case '\\':
		return (size_t)sprintf(buf, "\\%c", (int)point);
	default:
		return encode(point, buf);
	}
}

static size_t write_escaped(FILE *out, const char *text, size_t (*escape)(uint32_t, char[16]))
{
	size_t total = 0;
	uint32_t point;
	char buf[16];
	while ((point = safe_text_next(&text))) {
		size_t n = escape(point, buf);
		if (out)
			fwrite(buf, 1, n, out);
		total += n;
	}
	return total;
}

void safe_text_write_xml(FILE *out, const char *text)
{
	write_escaped(out, text, escape_xml);
}

void safe_text_write_json(FILE *out, const char *text)
{
	putc('"', out);
	write_escaped(out, text, escape_json);
	putc('"', out);
}

size_t safe_text_xml_size(const char *text)
{
	return write_escaped(NULL, text, escape_xml);
}

size_t safe_text_json_size(const char *text)
{
	return write_escaped(NULL, text, escape_json) + 2;
}
