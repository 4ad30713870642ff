#include "gzip_in.h"

#include <errno.h>

enum { WINDOW_BITS_GZIP = 15 + 16 }; /* zlib.h, inflateInit2(): + 16 = gzip only */

/*
 * A file of some megabytes may deflate from gigabytes that are all alike, and a table's entry of
 * two bytes takes some thirty times that in memory. Profiles compress 5 to 30 times; these limits
 * leave room and keep a bomb from filling the memory.
 */
static const uint64_t max_out_always = (uint64_t)64 << 20;
static const uint64_t max_out_ratio = 128;
static const uint64_t max_out_ever = (uint64_t)8 << 30;

static uint64_t output_limit(const struct gzip_in *gz)
{
	uint64_t size = gz->source->size_bytes;
	if (gz->bare || size >= max_out_ever / max_out_ratio)
		return max_out_ever;
	uint64_t limit = max_out_always + size * max_out_ratio;
	return limit < max_out_ever ? limit : max_out_ever;
}

int gzip_in_init(struct gzip_in *gz, const struct byte_source *source)
{
	uint8_t magic[2] = {0};
	ptrdiff_t got = byte_source_read(source, 0, magic, sizeof(magic));
	if (got < 0)
		return (int)got;
	gz->source = source;
	gz->stream = (z_stream){0};
	/* a file cut after its first byte is still recognised as a torn gzip file */
	gz->bare = !(got > 0 && magic[0] == 0x1f && (got < 2 || magic[1] == 0x8b));
	gz->inside = gz->ended = false;
	gz->next_off = gz->member_off = gz->n_out = 0;
	gz->max_out = output_limit(gz);
	gz->problem = NULL;
	gz->status = 0;
	return inflateInit2(&gz->stream, WINDOW_BITS_GZIP) == Z_OK ? 0 : -ENOMEM;
}

void gzip_in_deinit(struct gzip_in *gz)
{
	inflateEnd(&gz->stream);
}

static enum gzip_event fail(struct gzip_in *gz, int status)
{
	gz->status = status;
	return GZIP_FAILED;
}

static enum gzip_event torn(struct gzip_in *gz, const char *problem)
{
	gz->problem = problem;
	return GZIP_TORN;
}

static enum gzip_event give(struct gzip_in *gz, size_t given, size_t *n)
{
	gz->n_out += given;
	if (gz->n_out > gz->max_out)
		return fail(gz, -E2BIG);
	*n = given;
	return GZIP_DATA;
}

static enum gzip_event next_bare(struct gzip_in *gz, uint8_t *out, size_t cap, size_t *n)
{
	ptrdiff_t got = byte_source_read(gz->source, gz->next_off, out, cap);
	if (got < 0)
		return fail(gz, (int)got);
	if (got > 0) {
		gz->inside = true;
		gz->next_off += (size_t)got;
		return give(gz, (size_t)got, n);
	}
	if (!gz->inside)
		return GZIP_END;
	gz->inside = false;
	return GZIP_MEMBER_END;
}

/* Have compressed bytes at hand. Return: false at the source's end, or with gz->status set. */
static bool refill(struct gzip_in *gz)
{
	if (gz->stream.avail_in)
		return true;
	ptrdiff_t got = byte_source_read(gz->source, gz->next_off, gz->in, sizeof(gz->in));
	if (got < 0)
		gz->status = (int)got;
	if (got <= 0)
		return false;
	gz->next_off += (size_t)got;
	gz->stream.next_in = gz->in;
	gz->stream.avail_in = (uInt)got;
	return true;
}

enum gzip_event gzip_in_next(struct gzip_in *gz, uint8_t *out, size_t cap, size_t *n)
{
	if (gz->bare)
		return next_bare(gz, out, cap, n);
	for (;;) {
		if (gz->ended) {
			gz->ended = gz->inside = false;
			return GZIP_MEMBER_END;
		}
		if (!gz->inside)
			gz->member_off = gz->next_off - gz->stream.avail_in;
		if (!refill(gz)) {
			if (gz->status)
				return GZIP_FAILED;
			return gz->inside ? torn(gz, "it ends inside a gzip member") : GZIP_END;
		}
		if (!gz->inside) {
			inflateReset(&gz->stream);
			gz->inside = true;
		}
		gz->stream.next_out = out;
		gz->stream.avail_out = (uInt)cap;
		int rc = inflate(&gz->stream, Z_NO_FLUSH);
		size_t given = cap - gz->stream.avail_out;
		if (rc == Z_MEM_ERROR)
			return fail(gz, -ENOMEM);
		/* Z_BUF_ERROR: no progress without more input, which refill() sees to */
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return torn(gz, gz->stream.msg ? gz->stream.msg : "damaged gzip data");
		gz->ended = rc == Z_STREAM_END;
		if (given)
			return give(gz, given, n);
	}
}
