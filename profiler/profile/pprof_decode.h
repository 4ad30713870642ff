/*
 * pprof_decode.h - from the bytes of a profile file to the model, in two passes.
 *
 * Internal to this folder. The first pass checks every member and collects the tables; then all
 * references between them are resolved; the second pass reads the samples, one at a time. So a
 * torn member leaves no trace, any order of fields is read, and memory follows the profile, not
 * the file's uncompressed size.
 *
 * Depends on: base, profile.h, pprof_raw.h, byte_source.h, zlib. Threads: one at a time.
 */
#ifndef CPROF_PROFILE_PPROF_DECODE_H
#define CPROF_PROFILE_PPROF_DECODE_H

#include "byte_source.h"
#include "pprof_file.h"
#include "pprof_ids.h"
#include "pprof_raw.h"

/* Longest string; longest other field. Beyond is no profile. */
enum { PPROF_MAX_FIELD_BYTES = 4 << 20 };

/*
 * Deepest stack of a file, inlined functions included, and longest inline chain. Views expand the
 * chains: without these, few bytes of file are any number of frames.
 */
enum { PPROF_MAX_DEPTH = 1 << 16, PPROF_MAX_INLINED = 1024 };

/* The first pass' result: where the whole members end. */
struct pprof_extent {
	size_t members;
	uint64_t bytes_out; /* uncompressed, of the whole members */
	uint64_t bytes_in;  /* of the source */
};

/** Check all members and collect the tables. Return: as pprof_load(). */
int pprof_scan(const struct byte_source *source, struct pprof_raw *raw, struct pprof_extent *extent,
	       struct cp_err *err);

/* What the samples refer to. */
struct pprof_refs {
	struct pprof_ids locations;
	uint32_t *location_models; /* location_id by position */
	uint32_t *string_models;   /* string_id by the file's index; UINT32_MAX = not yet used */
};

/**
 * Put the tables of @raw into @profile, which is empty.
 *
 * @refs: all-zero at first; to be released by the caller in any case
 * Return: 0, -EBADMSG, -ENOMEM with a message.
 */
int pprof_resolve(const struct pprof_raw *raw, struct profile *profile, struct pprof_refs *refs,
		  struct cp_err *err);
void pprof_refs_deinit(struct pprof_refs *refs);

/** A string of the file in @profile. Return: 0; -EBADMSG: index out of range; -ENOMEM. */
int pprof_refs_string(struct pprof_refs *refs, const struct pprof_raw *raw, struct profile *profile,
		      raw_text index, string_id *out);

/** Read the samples. Return: 0, -EBADMSG, -ENOMEM with a message. */
int pprof_samples_read(const struct byte_source *source, const struct pprof_extent *extent,
		       const struct pprof_raw *raw, struct pprof_refs *refs,
		       struct profile *profile, uint64_t *unknown_labels, struct cp_err *err);

/** The message for a failure of reading that has none yet. Return: @rc. */
int pprof_decode_fail(struct cp_err *err, int rc);

/**
 * The whole way.
 *
 * @info:         may be NULL
 * @location_ids: NULL, or: the file's id of each location, by location_id; the caller frees it
 * Return: as pprof_load().
 */
int pprof_decode(const struct byte_source *source, struct profile **out,
		 struct pprof_load_info *info, uint64_t **location_ids, struct cp_err *err);

#endif
