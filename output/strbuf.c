#include "strbuf.h"

#include "base/array.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void add_checked(struct strbuf *buf, const char *bytes, bool printable)
{
	while (*bytes) {
		uint32_t code;
		size_t n = utf8_decode(bytes, UTF8_MAX_BYTES, &code);
		if (n == 0)
			strbuf_add(buf, UTF8_REPLACEMENT);
		else if (printable && utf8_is_control(code))
			strbuf_addf(buf, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
		else
			strbuf_add_bytes(buf, bytes, n);
		bytes += n ? n : 1;
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
