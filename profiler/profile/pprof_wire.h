/*
 * pprof_wire.h - the top level of a profile.proto message: field numbers and framing.
 *
 * Internal to this folder. The messages inside are protobuf-c's matter.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_PROFILE_PPROF_WIRE_H
#define CPROF_PROFILE_PPROF_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum pprof_field {
	PPROF_SAMPLE_TYPE = 1,
	PPROF_SAMPLE = 2,
	PPROF_MAPPING = 3,
	PPROF_LOCATION = 4,
	PPROF_FUNCTION = 5,
	PPROF_STRING = 6,
	PPROF_TIME_NANOS = 9,
	PPROF_DURATION_NANOS = 10,
	PPROF_PERIOD_TYPE = 11,
	PPROF_PERIOD = 12,
	PPROF_COMMENT = 13,
};

enum pprof_wire {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

enum { VARINT_MAX_BYTES = 10 };

/** Write a varint of at most VARINT_MAX_BYTES bytes. Return: bytes written. */
static inline size_t varint_put(uint8_t *out, uint64_t value)
{
	size_t n = 0;
	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

/** Write a field's tag. Return: bytes written. */
static inline size_t tag_put(uint8_t *out, enum pprof_field field, enum pprof_wire wire)
{
	return varint_put(out, (uint64_t)field << 3 | wire);
}

#endif
