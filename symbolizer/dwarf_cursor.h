/*
 * dwarf_cursor.h - read DWARF's encodings out of bytes that nobody vouches for.
 *
 * A read beyond the end gives 0, sets `failed` and leaves nothing more to read, so that a parser
 * may look at `failed` where it matters instead of after every number.
 *
 * Little-endian files only. Depends on: nothing. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_DWARF_CURSOR_H
#define CPROF_SYMBOLIZER_DWARF_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dwarf_cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline uint64_t dwarf_cursor_fail(struct dwarf_cursor *cursor)
{
	cursor->failed = true;
	cursor->at = cursor->end;
	return 0;
}

static inline void dwarf_cursor_skip(struct dwarf_cursor *cursor, uint64_t n)
{
	if (n > (uint64_t)(cursor->end - cursor->at))
		dwarf_cursor_fail(cursor);
	else
		cursor->at += n;
}

/** A number of @n bytes; 0 to 8. */
static inline uint64_t dwarf_cursor_fixed(struct dwarf_cursor *cursor, unsigned int n)
{
	uint64_t value = 0;
	const size_t left = (size_t)(cursor->end - cursor->at);
	if (n > left)
		return dwarf_cursor_fail(cursor);
	if (left >= sizeof(value) && n > 0) { /* at once, and what is too much shifted out */
		memcpy(&value, cursor->at, sizeof(value));
		value = le64toh(value) & (UINT64_MAX >> (64 - 8 * n));
	} else {
		for (unsigned int i = 0; i < n; i++)
			value |= (uint64_t)cursor->at[i] << (8 * i);
	}
	cursor->at += n;
	return value;
}

static inline uint64_t dwarf_cursor_uleb(struct dwarf_cursor *cursor)
{
	uint64_t value = 0;
	if (cursor->at < cursor->end && *cursor->at < 0x80) /* nearly all of them */
		return *cursor->at++;
	for (unsigned int shift = 0; cursor->at < cursor->end; shift += 7) {
		uint8_t byte = *cursor->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	return dwarf_cursor_fail(cursor);
}

static inline int64_t dwarf_cursor_sleb(struct dwarf_cursor *cursor)
{
	uint64_t value = 0;
	for (unsigned int shift = 0; cursor->at < cursor->end;) {
		uint8_t byte = *cursor->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if ((byte & 0x40) && shift < 64)
			value |= UINT64_MAX << shift;
		return (int64_t)value;
	}
	return (int64_t)dwarf_cursor_fail(cursor);
}

/** Return: a string within the bytes, or NULL. */
static inline const char *dwarf_cursor_string(struct dwarf_cursor *cursor)
{
	const uint8_t *start = cursor->at;
	const uint8_t *nul = memchr(start, 0, (size_t)(cursor->end - start));
	if (!nul) {
		dwarf_cursor_fail(cursor);
		return NULL;
	}
	cursor->at = nul + 1;
	return (const char *)start;
}

#endif
