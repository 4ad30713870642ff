/*
 * pprof_encode.h - a profile as the bytes of one gzip member, each thing sent once per file.
 *
 * Internal to this folder. An encoder belongs to one file and remembers what that file holds, so
 * that each member brings only what is new. What a member brought counts as held only when it
 * was committed: after a failed write the same data goes out again.
 *
 * The numbering: module, function and location ids of the profile + 1; strings as first sent.
 *
 * Depends on: base, profile.h, gzip_out.h, protobuf-c. Threads: one at a time per object.
 */
#ifndef CPROF_PROFILE_PPROF_ENCODE_H
#define CPROF_PROFILE_PPROF_ENCODE_H

#include "gzip_out.h"
#include "profile.h"

#include <stdlib.h>

struct pprof_encoder;

/* The file's index of each string of one profile, by string_id; 0 = not in the file (or ""). */
struct pprof_string_map {
	uint32_t *file_ids;
	size_t n;
};

static inline void pprof_string_map_deinit(struct pprof_string_map *map)
{
	free(map->file_ids);
}

/** Return: 0 or -ENOMEM. */
int pprof_encoder_create(struct pprof_encoder **out);
void pprof_encoder_destroy(struct pprof_encoder *encoder);

/** Start a member. Errors stick until pprof_encoder_end(). */
void pprof_encoder_begin(struct pprof_encoder *encoder, gzip_sink *sink, void *ctx);

/** Everything of @profile except its samples, as far as the file does not hold it. */
void pprof_encoder_tables(struct pprof_encoder *encoder, const struct profile *profile);

/** The samples of the profile whose tables were put before. */
void pprof_encoder_samples(struct pprof_encoder *encoder, const struct profile *profile);

/**
 * The samples of @other, whose locations the file knows under other numbers than id + 1.
 *
 * @strings:      @other's, all zero at first
 * @location_ids: the file's location id, by @other's
 */
void pprof_encoder_samples_of(struct pprof_encoder *encoder, const struct profile *other,
			      struct pprof_string_map *strings, const uint64_t *location_ids);

/** End the member. Return: 0, -ENOMEM, -EOVERFLOW, or what the sink returned. */
int pprof_encoder_end(struct pprof_encoder *encoder);

/** The member is in the file. Context: cannot fail. */
void pprof_encoder_commit(struct pprof_encoder *encoder);

/** The member is not in the file. */
void pprof_encoder_rollback(struct pprof_encoder *encoder);

/**
 * What an encoder has put into the file so far, beside the strings and header entries of the
 * profile, for another process: bytes that a copy of the encoder, made by fork(), takes over.
 */
const void *pprof_encoder_state(const struct pprof_encoder *encoder, size_t *n);
void pprof_encoder_set_state(struct pprof_encoder *encoder, const void *bytes);

/** A profile as one whole member. Return: as pprof_encoder_end(). */
int pprof_encode_all(const struct profile *profile, gzip_sink *sink, void *ctx);

#endif
