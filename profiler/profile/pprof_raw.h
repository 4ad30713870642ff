/*
 * pprof_raw.h - the tables of a profile file as it states them, before anything refers to them.
 *
 * Internal to this folder. Producers put the fields in any order (Go writes samples first and
 * strings last), so that references are resolved when the whole file was seen. What a torn member
 * brought is taken back by going back to the counts before it.
 *
 * Depends on: base, pprof_frames.h, pprof_arena.h, protobuf-c. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PPROF_RAW_H
#define CPROF_PROFILE_PPROF_RAW_H

#include "base/err.h"
#include "base/index.h"
#include "pprof_arena.h"
#include "pprof_frames.h"

/* A string index of the file: not validated, may be negative. */
typedef int64_t raw_text;

/* The id comes first in all three: see pprof_ids_build(). */
struct raw_mapping {
	uint64_t id, start, limit, offset;
	raw_text filename, build_id;
	bool has_functions, has_filenames, has_lines, has_inlines;
};

struct raw_function {
	uint64_t id;
	raw_text name, system_name, filename;
	int64_t start_line;
};

struct raw_location {
	uint64_t id, mapping_id, address;
	size_t first_line, n_lines; /* in raw->lines */
};

struct raw_line {
	uint64_t function_id;
	int64_t line;
};

struct raw_value_type {
	raw_text type, unit;
};

enum { RAW_MAX_VALUE_TYPES = 64 }; /* more is no profile; the model's own limit is lower */

/* Everything that is not an array's memory: copied to go back. */
struct raw_counts {
	size_t strings, text_bytes, mappings, functions, locations, lines, comments, value_types;
	struct raw_value_type period_type;
	int64_t period, time_ns, duration_ns;
};

struct pprof_raw {
	struct raw_counts n;
	uint64_t *strings; /* offsets in text; valid UTF-8, NUL-terminated */
	char *text;
	struct raw_mapping *mappings;
	struct raw_function *functions;
	struct raw_location *locations;
	struct raw_line *lines;
	raw_text *comments;
	struct raw_value_type value_types[RAW_MAX_VALUE_TYPES];
	struct {
		size_t strings, text, mappings, functions, locations, lines, comments;
	} cap;
	struct pprof_arena arena;
};

void pprof_raw_init(struct pprof_raw *raw);
void pprof_raw_deinit(struct pprof_raw *raw);

/** Fields that pprof_raw_take() wants, as in pprof_frames. */
extern const uint64_t pprof_raw_wanted;

/** A pprof_field_fn; @ctx is the pprof_raw. Return: 0, -EBADMSG, -ENOMEM. */
int pprof_raw_take(void *ctx, const struct pprof_field_value *value);

/** A string of the file, or NULL when the index is none. */
static inline const char *pprof_raw_text(const struct pprof_raw *raw, raw_text index)
{
	if (index < 0 || (uint64_t)index >= raw->n.strings)
		return NULL;
	return raw->text + raw->strings[index];
}

#endif
