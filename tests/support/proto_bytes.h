/*
 * proto_bytes.h - protobuf messages and gzip members made by hand, right or wrong as wanted.
 *
 * Independent of the code under test: the wire format is written out here once more.
 *
 * Depends on: zlib, cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_PROTO_BYTES_H
#define CPROF_TESTS_PROTO_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct proto_bytes {
	uint8_t *bytes;
	size_t n, cap;
};

static inline void proto_raw(struct proto_bytes *p, const void *bytes, size_t n)
{
	if (p->n + n > p->cap) {
		p->cap = (p->n + n) * 2;
		p->bytes = realloc(p->bytes, p->cap);
		assert_non_null(p->bytes);
	}
	if (n)
		memcpy(p->bytes + p->n, bytes, n);
	p->n += n;
}

static inline void proto_varint(struct proto_bytes *p, uint64_t value)
{
	for (;;) {
		uint8_t byte = value & 0x7f;
		value >>= 7;
		if (value)
			byte |= 0x80;
		proto_raw(p, &byte, 1);
		if (!value)
			return;
	}
}

static inline void proto_int(struct proto_bytes *p, unsigned field, uint64_t value)
{
	proto_varint(p, field * 8);
	proto_varint(p, value);
}

static inline void proto_bytes(struct proto_bytes *p, unsigned field, const void *bytes, size_t n)
{
	proto_varint(p, field * 8 + 2);
	proto_varint(p, n);
	proto_raw(p, bytes, n);
}

static inline void proto_text(struct proto_bytes *p, unsigned field, const char *text)
{
	proto_bytes(p, field, text, strlen(text));
}

static inline void proto_free(struct proto_bytes *p)
{
	free(p->bytes);
	*p = (struct proto_bytes){0};
}

/** Put @inner, which is emptied, as a field. */
static inline void proto_message(struct proto_bytes *p, unsigned field, struct proto_bytes *inner)
{
	proto_bytes(p, field, inner->bytes, inner->n);
	proto_free(inner);
}

/** Put numbers as a packed repeated field. */
static inline void proto_packed(struct proto_bytes *p, unsigned field, const uint64_t *values,
				size_t n)
{
	struct proto_bytes inner = {0};
	for (size_t i = 0; i < n; i++)
		proto_varint(&inner, values[i]);
	proto_message(p, field, &inner);
}

/** Append @bytes as a gzip member. */
static inline void proto_gzip(struct proto_bytes *out, const void *bytes, size_t n)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	size_t room = deflateBound(&z, n);
	uint8_t *packed = malloc(room);
	assert_non_null(packed);
	z.next_in = (Bytef *)(uintptr_t)bytes;
	z.avail_in = (uInt)n;
	z.next_out = packed;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	proto_raw(out, packed, z.total_out);
	deflateEnd(&z);
	free(packed);
}

#endif
