/*
 * gzip_out.h - bytes in, one gzip member out, in bounded memory.
 *
 * Internal to this folder. Errors stick until the member ends, so that the many small puts of an
 * encoder need no checks of their own. The member's time stamp is 0: equal profiles give equal
 * files.
 *
 * Depends on: zlib. Threads: one at a time per object.
 */
#ifndef CPROF_PROFILE_GZIP_OUT_H
#define CPROF_PROFILE_GZIP_OUT_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

/** Takes the compressed bytes. Return: 0 or -errno. */
typedef int gzip_sink(void *ctx, const void *bytes, size_t n);

enum { GZIP_OUT_CHUNK = 64 * 1024 };

struct gzip_out {
	z_stream stream;
	gzip_sink *sink;
	void *ctx;
	int status; /* first failure since begin, 0 or -errno */
	size_t n_in;
	uint8_t in[GZIP_OUT_CHUNK], out[GZIP_OUT_CHUNK];
};

/** Return: 0 or -ENOMEM (nothing to release). */
int gzip_out_init(struct gzip_out *gz);
void gzip_out_deinit(struct gzip_out *gz);

/** Start a member; one that was not ended is forgotten. */
void gzip_out_begin(struct gzip_out *gz, gzip_sink *sink, void *ctx);

void gzip_out_put(struct gzip_out *gz, const void *bytes, size_t n);

/** End the member. Return: 0, or the first failure of the sink or of zlib since begin. */
int gzip_out_end(struct gzip_out *gz);

#endif
