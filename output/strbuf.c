#include "strbuf.h"

#include "base/array.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

void strbuf_deinit(struct strbuf *buf)
{
	free(buf->bytes);
	*buf = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *buf)
{
	buf->n = 0;
	if (buf->bytes)
		buf->bytes[0] = '\0';
}

static bool reserve(struct strbuf *buf, size_t more)
{
	char *grown = NULL;
	if (more < SIZE_MAX - buf->n)
		grown = cp_array_reserve(buf->bytes, &buf->cap, buf->n + more + 1, 1);
	if (!grown) {
		buf->failed = true;
		return false;
	}
	buf->bytes = grown;
	return true;
}

void strbuf_add_bytes(struct strbuf *buf, const char *bytes, size_t n)
{
	if (!reserve(buf, n))
		return;
	memcpy(buf->bytes + buf->n, bytes, n);
	buf->n += n;
	buf->bytes[buf->n] = '\0';
}

void strbuf_add(struct strbuf *buf, const char *text)
{
	strbuf_add_bytes(buf, text, strlen(text));
}

void strbuf_addf(struct strbuf *buf, const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		buf->failed = true;
	else if (reserve(buf, (size_t)n)) {
		vsnprintf(buf->bytes + buf->n, (size_t)n + 1, fmt, again);
		buf->n += (size_t)n;
	}
	va_end(again);
}

/*
 * Decode one code point (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
 * Return: its bytes, or 0 when there is none at @s.
 */
static size_t decode(const unsigned char *s, uint32_t *out)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	for (size_t i = 0; i < 4; i++) {
		if ((s[0] & forms[i].mask) != forms[i].lead)
			continue;
		uint32_t code = s[0] & (unsigned char)~forms[i].mask;
		for (size_t k = 1; k <= i; k++) {
			/* the terminating NUL fails this test, so nothing beyond it is read */
			if ((s[k] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s[k] & 0x3f);
		}
		if (code < forms[i].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return 0;
		*out = code;
		return i + 1;
	}
	return 0;
}

/* C0, DEL, C1, line separators, and what reorders the text around it (Unicode UAX #9). */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0x200e || code == 0x200f;
}

static void add_checked(struct strbuf *buf, const char *bytes, bool printable)
{
	const unsigned char *s = (const unsigned char *)bytes;
	while (*s) {
		uint32_t code;
		size_t n = decode(s, &code);
		if (n == 0)
			strbuf_add(buf, replacement);
		else if (printable && is_control(code))
			strbuf_addf(buf, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
		else
			strbuf_add_bytes(buf, (const char *)s, n);
		s += n ? n : 1;
	}
}

void strbuf_add_utf8(struct strbuf *buf, const char *bytes)
{
	add_checked(buf, bytes, false);
}

void strbuf_add_printable(struct strbuf *buf, const char *bytes)
{
	add_checked(buf, bytes, true);
}

const char *strbuf_text(const struct strbuf *buf)
{
	return buf->bytes ? buf->bytes : "";
}

bool strbuf_failed(const struct strbuf *buf)
{
	return buf->failed;
}

static bool starts_code_point(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t strbuf_columns(const char *utf8)
{
	size_t columns = 0;
	for (; *utf8; utf8++)
		columns += starts_code_point(*utf8);
	return columns;
}

const char *strbuf_tail(const char *utf8, size_t columns)
{
	size_t have = strbuf_columns(utf8);
	for (; have > columns; have--) {
		do
			utf8++;
		while (!starts_code_point(*utf8));
	}
	return utf8;
}

size_t strbuf_head(const char *utf8, size_t columns)
{
	const char *end = utf8;
	for (; columns && *end; columns--) {
		do
			end++;
		while (!starts_code_point(*end));
	}
	return (size_t)(end - utf8);
}
