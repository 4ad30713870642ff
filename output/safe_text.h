/*
 * safe_text.h - names from a target, made harmless for a document that is opened in a browser.
 *
 * A symbol name is whatever bytes a binary holds. Here it becomes valid UTF-8 of printable
 * characters: malformed bytes, control characters, characters that XML 1.0 forbids and those that
 * reorder the text around them (bidirectional controls) turn into U+FFFD; then it is escaped for
 * the place it goes to. The JSON form holds none of < > & so that it may stand in a <script>
 * element of XML and of HTML alike.
 *
 * Depends on: base. Threads: any.
 */
#ifndef CPROF_OUTPUT_SAFE_TEXT_H
#define CPROF_OUTPUT_SAFE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * The next character, made harmless.
 *
 * @text: advanced past it
 * Return: a code point, or 0 at the end.
 */
uint32_t safe_text_next(const char **text);

/**
 * Copy as harmless UTF-8, at most @max_chars characters; a longer text ends in an ellipsis, which
 * is one of them.
 *
 * @buf: at least 4 * @max_chars + 1 bytes
 * Return: bytes written, without the NUL.
 */
size_t safe_text_copy(const char *text, size_t max_chars, char *buf);

/**
 * The same, at most @max_columns of a monospace font wide: 2 for a character beyond U+10FF, else 1.
 */
size_t safe_text_copy_columns(const char *text, size_t max_columns, char *buf);

/** Write harmless, escaped for XML: for text and for attribute values in either quotes. */
void safe_text_write_xml(FILE *out, const char *text);

/** Write harmless, as a JSON string with its quotes. */
void safe_text_write_json(FILE *out, const char *text);

/** Bytes that the two write. */
size_t safe_text_xml_size(const char *text);
size_t safe_text_json_size(const char *text);

#endif
