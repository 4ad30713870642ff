#include "gzip_out.h"

#include <errno.h>
#include <string.h>

enum { WINDOW_BITS_GZIP = 15 + 16 }; /* zlib.h, deflateInit2(): + 16 = gzip header and trailer */

int gzip_out_init(struct gzip_out *gz)
{
	gz->stream = (z_stream){0};
	gz->status = 0;
	gz->n_in = 0;
	int rc = deflateInit2(&gz->stream, 6, Z_DEFLATED, WINDOW_BITS_GZIP, 8, Z_DEFAULT_STRATEGY);
	return rc == Z_OK ? 0 : -ENOMEM;
}

void gzip_out_deinit(struct gzip_out *gz)
{
	deflateEnd(&gz->stream);
}

void gzip_out_begin(struct gzip_out *gz, gzip_sink *sink, void *ctx)
{
	deflateReset(&gz->stream);
	gz->sink = sink;
	gz->ctx = ctx;
	gz->status = 0;
	gz->n_in = 0;
}

static void compress_input(struct gzip_out *gz, int flush)
{
	gz->stream.next_in = gz->in;
	gz->stream.avail_in = (uInt)gz->n_in;
	gz->n_in = 0;
	int rc;
	do {
		gz->stream.next_out = gz->out;
		gz->stream.avail_out = sizeof(gz->out);
		rc = deflate(&gz->stream, flush);
		size_t n = sizeof(gz->out) - gz->stream.avail_out;
		if (n && !gz->status)
			gz->status = gz->sink(gz->ctx, gz->out, n);
		if (rc == Z_STREAM_ERROR && !gz->status)
			gz->status = -EIO;
	} while (!gz->status && (flush == Z_FINISH ? rc != Z_STREAM_END : !gz->stream.avail_out));
}

void gzip_out_put(struct gzip_out *gz, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	while (n && !gz->status) {
		size_t room = sizeof(gz->in) - gz->n_in;
		size_t take = n < room ? n : room;
		memcpy(gz->in + gz->n_in, p, take);
		gz->n_in += take;
		p += take;
		n -= take;
		if (gz->n_in == sizeof(gz->in))
			compress_input(gz, Z_NO_FLUSH);
	}
}

int gzip_out_end(struct gzip_out *gz)
{
	if (!gz->status)
		compress_input(gz, Z_FINISH);
	return gz->status;
}
