#include "inflate.h"

#include "base/cleanup.h"

#include <errno.h>
#include <lzma.h>
#include <stdbool.h>
#include <zlib.h>
#include <zstd.h>

enum {
	DEFLATE_RATIO_MAX = 1032, /* a match of 258 bytes takes two bits at least (RFC 1951) */
	DEFLATE_SLACK = 64,
	/* a block of 128 KiB of one byte takes four (RFC 8878, 3.1.1.2) */
	ZSTD_RATIO_MAX = 32768,
	ZSTD_SLACK = 128 * 1024,
	XZ_FIRST_BYTES = 256 * 1024,
};

int inflate_check(uint32_t type, uint64_t n_in, uint64_t n_out)
{
	uint64_t most;
	if (type == ELFCOMPRESS_ZLIB)
		most = n_in * DEFLATE_RATIO_MAX + DEFLATE_SLACK;
	else if (type == ELFCOMPRESS_ZSTD)
		most = n_in * ZSTD_RATIO_MAX + ZSTD_SLACK;
	else
		return -ENOTSUP;
	return n_out > most ? -EBADMSG : 0;
}

int inflate_into(uint32_t type, const void *in, uint64_t n_in, void *out, uint64_t n_out)
{
	if (type == ELFCOMPRESS_ZLIB) {
		uLongf done = n_out;
		return uncompress(out, &done, in, n_in) == Z_OK && done == n_out ? 0 : -EBADMSG;
	}
	if (type != ELFCOMPRESS_ZSTD)
		return -ENOTSUP;
	const size_t done = ZSTD_decompress(out, n_out, in, n_in);
	return !ZSTD_isError(done) && done == n_out ? 0 : -EBADMSG;
}

/* Twice as much room, up to @max. Return: false when there is none, @code says why. */
static bool grow(uint8_t **bytes, uint64_t *cap, uint64_t max, int *code)
{
	if (*cap >= max) {
		*code = -EFBIG;
		return false;
	}
	uint64_t more = *cap ? 2 * *cap : XZ_FIRST_BYTES;
	if (more > max)
		more = max;
	uint8_t *grown = realloc(*bytes, more);
	if (!grown) {
		*code = -ENOMEM;
		return false;
	}
	*bytes = grown;
	*cap = more;
	return true;
}

static int xz_code(lzma_ret ret)
{
	if (ret == LZMA_MEM_ERROR)
		return -ENOMEM;
	return ret == LZMA_MEMLIMIT_ERROR ? -EFBIG : -EBADMSG;
}

int inflate_xz(const void *in, uint64_t n_in, uint64_t max, uint8_t **out, uint64_t *n)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_stream_decoder(&stream, max, 0);
	if (ret != LZMA_OK)
		return xz_code(ret);
	CP_CLEANUP(cp_free) uint8_t *bytes = NULL;
	uint64_t cap = 0;
	int code = 0;
	stream.next_in = in;
	stream.avail_in = n_in;
	while (ret == LZMA_OK && (stream.avail_out > 0 || grow(&bytes, &cap, max, &code))) {
		stream.next_out = bytes + stream.total_out;
		stream.avail_out = cap - stream.total_out;
		/* without more input it says LZMA_BUF_ERROR for a stream that is cut off */
		ret = lzma_code(&stream, LZMA_FINISH);
	}
	if (ret == LZMA_STREAM_END) {
		*out = bytes;
		*n = stream.total_out;
		bytes = NULL;
	} else if (code == 0) {
		code = xz_code(ret);
	}
	lzma_end(&stream);
	return code;
}
