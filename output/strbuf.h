/*
 * strbuf.h - growing text, and names from files made safe to show.
 *
 * Function names and paths come from files and processes that may be hostile: bytes that are no
 * UTF-8 become U+FFFD, and for people control characters (terminal escapes, newlines, bidirectional
 * overrides) are written as \x1b or \u202e. An allocation failure is remembered and reported
 * once, by strbuf_failed().
 *
 * Depends on: base. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_STRBUF_H
#define CPROF_OUTPUT_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *bytes; /* NUL-terminated; NULL while empty: use strbuf_text() */
	size_t n, cap;
	bool failed;
};

void strbuf_deinit(struct strbuf *buf);

/** Empty it; keeps the memory. */
void strbuf_clear(struct strbuf *buf);

void strbuf_add(struct strbuf *buf, const char *text);
void strbuf_add_bytes(struct strbuf *buf, const char *bytes, size_t n);
void strbuf_addf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Append as valid UTF-8; control characters stay. For formats that escape them (JSON). */
void strbuf_add_utf8(struct strbuf *buf, const char *bytes);

/** Append as one line of printable UTF-8. For terminals, Markdown, folded stacks. */
void strbuf_add_printable(struct strbuf *buf, const char *bytes);

/** The text, "" when empty. Borrowed; valid until the next change. */
const char *strbuf_text(const struct strbuf *buf);

/** True when memory ran out in any call since the start: the text is incomplete. */
bool strbuf_failed(const struct strbuf *buf);

/** Columns of valid UTF-8 on a terminal, one per code point. */
size_t strbuf_columns(const char *utf8);

/** The start of the last @columns columns of valid UTF-8. */
const char *strbuf_tail(const char *utf8, size_t columns);

/** Bytes of the first @columns columns of valid UTF-8. */
size_t strbuf_head(const char *utf8, size_t columns);

#endif
