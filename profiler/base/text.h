/*
 * text.h - numbers and durations as people write and read them.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_BASE_TEXT_H
#define CPROF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CP_TEXT_MAX 32

/**
 * Parse a whole decimal number.
 *
 * Return: false on anything else than digits, or outside [min, max]; @out untouched.
 */
bool cp_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/**
 * Parse a DURATION: a decimal number with an optional fraction and unit (ns us ms s m h;
 * none = seconds): "10", "500ms", "2m", "1.5s".
 *
 * Return: false on anything else, on zero, or over a hundred years; @out untouched.
 */
bool cp_parse_duration(const char *text, uint64_t *out_ns);

/**
 * Parse a number of bytes: decimal with an optional fraction and unit; K, M, G, T are powers of
 * 1024, also with "B" or "iB" behind: "512", "64K", "1.5MB", "2GiB".
 *
 * Return: false on anything else, or over 2^62; @out untouched.
 */
bool cp_parse_bytes(const char *text, uint64_t *out);

/**
 * Parse a rate: bytes, a slash and a unit of time (s m h d): "1MB/h".
 *
 * Return: false on anything else; @out untouched.
 */
bool cp_parse_bytes_rate(const char *text, double *out_per_second);

/** "1.5 s", "120 ms", "3 m 20 s": into @buf of CP_TEXT_MAX bytes; returns @buf. */
const char *cp_format_duration(uint64_t ns, char buf[CP_TEXT_MAX]);

/** "512 B", "1.5 KiB", "3.2 MiB": into @buf of CP_TEXT_MAX bytes; returns @buf. */
const char *cp_format_bytes(uint64_t bytes, char buf[CP_TEXT_MAX]);

/**
 * "60.1 %", never rounded to "100.0 %" or "0.0 %" when it is not: into @buf of CP_TEXT_MAX bytes;
 * returns @buf.
 */
const char *cp_format_pct(double pct, char buf[CP_TEXT_MAX]);

/** "1,234,567": into @buf of CP_TEXT_MAX bytes; returns @buf. */
const char *cp_format_count(uint64_t count, char buf[CP_TEXT_MAX]);

#endif
