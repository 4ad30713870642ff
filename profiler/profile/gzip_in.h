/*
 * gzip_in.h - the bytes inside a file of gzip members, in bounded memory.
 *
 * Internal to this folder. A member's end is reported only when its length and CRC agreed. A file
 * that does not begin as gzip is passed through as one member.
 *
 * Depends on: byte_source.h, zlib. Threads: one at a time per object.
 */
#ifndef CPROF_PROFILE_GZIP_IN_H
#define CPROF_PROFILE_GZIP_IN_H

#include "byte_source.h"

#include <stdbool.h>
#include <zlib.h>

enum gzip_event {
	GZIP_DATA,       /* bytes of the current member */
	GZIP_MEMBER_END, /* they were all of it, and are sound */
	GZIP_END,        /* the source ends with a whole member */
	GZIP_TORN,       /* from member_off on there is no whole member; see problem */
	GZIP_FAILED      /* see status */
};

enum { GZIP_IN_CHUNK = 64 * 1024 };

struct gzip_in {
	const struct byte_source *source;
	z_stream stream;
	bool bare;           /* not gzip: passed through */
	bool inside;         /* a member has begun */
	bool ended;          /* and its last byte was given out */
	uint64_t next_off;   /* of the source, read next */
	uint64_t member_off; /* where the current member begins */
	uint64_t n_out;      /* bytes given out, all members */
	uint64_t max_out;    /* limit of those */
	const char *problem; /* of GZIP_TORN, in words */
	int status;          /* of GZIP_FAILED: -errno; -E2BIG past the limit */
	uint8_t in[GZIP_IN_CHUNK];
};

/**
 * @source: borrowed
 * Return: 0, -ENOMEM, or the source's error (nothing to release).
 */
int gzip_in_init(struct gzip_in *gz, const struct byte_source *source);
void gzip_in_deinit(struct gzip_in *gz);

/**
 * The next bytes, or what happened instead.
 *
 * @out: room for @cap bytes
 * @n:   bytes given, with GZIP_DATA only
 */
enum gzip_event gzip_in_next(struct gzip_in *gz, uint8_t *out, size_t cap, size_t *n);

#endif
