/*
 * utf8.h - any bytes as text: decoding, and what may not be shown as it is.
 *
 * Names come from binaries, files and processes. Strings of a protobuf message must be UTF-8, and
 * strict readers refuse the whole profile otherwise; a comm is cut at 15 bytes by the kernel, in
 * the middle of a character if need be; file names may hold anything but NUL and '/'. What is
 * valid is said here alone (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_BASE_UTF8_H
#define CPROF_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The longest sequence; @n for utf8_decode() where the text ends in a NUL. */
enum { UTF8_MAX_BYTES = 4 };

/** U+FFFD, in place of what is no character. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/** Bytes utf8_clean() may write for @n bytes of input. */
#define UTF8_CLEAN_MAX(n) (3 * (n))

/**
 * Decode one code point.
 *
 * @n: bytes there are, at least 1; a NUL ends the text earlier
 * Return: its bytes, or 0 (@out untouched) when none is at @text.
 */
size_t utf8_decode(const char *text, size_t n, uint32_t *out);

/**
 * True for what acts on a terminal or on the text around it: C0, DEL, C1, line and paragraph
 * separators, and what changes the direction of writing (Unicode UAX #9).
 */
bool utf8_is_control(uint32_t point);

/** Bytes at the start of @text that are valid UTF-8 without NUL. */
size_t utf8_valid_prefix(const char *text, size_t n);

/**
 * Copy, with U+FFFD for each NUL and each byte that is no part of a valid character.
 *
 * @out: room for UTF8_CLEAN_MAX(n) bytes; not NUL-terminated
 * Return: bytes written.
 */
size_t utf8_clean(const char *text, size_t n, char *out);

#endif
