/*
 * utf8.h - make any bytes a text that every reader of the file accepts.
 *
 * Strings of a protobuf message must be UTF-8, and strict readers refuse the whole profile
 * otherwise. A comm is cut at 15 bytes by the kernel, in the middle of a character if need be;
 * file names may hold anything but NUL and '/'.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_PROFILE_UTF8_H
#define CPROF_PROFILE_UTF8_H

#include <stddef.h>

/** Bytes utf8_clean() may write for @n bytes of input. */
#define UTF8_CLEAN_MAX(n) (3 * (n))

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
