/*
 * answer_table.h - what was found at addresses of one binary, apart from where it was found.
 *
 * The look-ups of several threads and of earlier runs meet here. Two forms: one grows, the other is
 * the bytes of a cache file, used in place (answer_file.h); both answer the same questions.
 *
 * Depends on: base. Threads: one at a time while it grows; immutable otherwise.
 */
#ifndef CPROF_SYMBOLIZER_ANSWER_TABLE_H
#define CPROF_SYMBOLIZER_ANSWER_TABLE_H

#include "base/interner.h"
#include "symbol_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of one answer: more than any look-up gives. */
enum { ANSWER_MAX_FRAMES = 1024 };

/* Both are part of the cache file's format: fixed sizes, no gaps. */
struct answer {
	uint64_t svma;
	uint32_t first_frame, n_frames; /* none: looked up, nothing known */
};

struct answer_frame {
	uint32_t name, system_name,
		file; /* ids of strings; in a file's bytes offsets in its text */
	uint32_t line, start_line;
};

struct answer_table {
	struct answer *answers; /* sorted by svma in a file's bytes, else in order of addition */
	size_t n, cap;
	struct answer_frame *frames;
	size_t n_frames, cap_frames;
	struct interner strings;
	struct cp_index index; /* of answers */
	const char *text;      /* of a file's bytes; NULL in a table that grows */
};

/** Return: 0 or -ENOMEM (nothing to release). */
int answer_table_init(struct answer_table *table);

/** Frees a table that grew; forgets one of a file's bytes. An all-zero struct is accepted. */
void answer_table_deinit(struct answer_table *table);

/**
 * Add an answer; one that is there stays as it is.
 *
 * @frames: innermost first; copied with their strings
 * Return: 0 or -ENOMEM, -EOVERFLOW.
 */
int answer_table_add(struct answer_table *table, uint64_t svma, const struct symbol_frame *frames,
		     size_t n);

/** The answer for an address, or NULL. Borrowed until the next addition. */
const struct answer *answer_table_find(const struct answer_table *table, uint64_t svma);

/** One frame of an answer: 0 = the innermost. The strings live as long as the table. */
struct symbol_frame answer_table_frame(const struct answer_table *table,
				       const struct answer *answer, size_t index);

#endif
