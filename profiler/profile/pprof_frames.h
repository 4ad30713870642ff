/*
 * pprof_frames.h - cut a stream of bytes into the top-level fields of a protobuf message.
 *
 * Internal to this folder. The stream comes in chunks of any size; a field is handed on when it
 * is whole, and what is not wanted is passed over without being kept.
 *
 * Depends on: pprof_wire.h. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PPROF_FRAMES_H
#define CPROF_PROFILE_PPROF_FRAMES_H

#include "pprof_wire.h"

#include <stdbool.h>

struct pprof_field_value {
	uint32_t field;
	bool is_bytes;
	uint64_t number; /* unless is_bytes */
	const uint8_t *bytes;
	size_t n;
};

/** Takes one field. Return: 0 or -errno, which ends the feeding. */
typedef int pprof_field_fn(void *ctx, const struct pprof_field_value *value);

struct pprof_frames {
	uint64_t wanted;  /* bit N = field N */
	size_t max_bytes; /* longest wanted field */
	pprof_field_fn *take;
	void *ctx;

	enum { FRAMES_TAG, FRAMES_NUMBER, FRAMES_LENGTH, FRAMES_BYTES, FRAMES_SKIP } state;
	uint64_t varint;
	unsigned shift;
	uint32_t field;
	uint64_t left;  /* bytes of the field to come */
	uint8_t *carry; /* the part of a field that came in earlier chunks */
	size_t n_carry, cap_carry;
};

void pprof_frames_deinit(struct pprof_frames *frames);

/**
 * Feed the next bytes.
 *
 * Return: 0; -EBADMSG: not the framing of a message; -ENOMEM; or what @take returned. After a
 *         failure the stream cannot be resumed.
 */
int pprof_frames_feed(struct pprof_frames *frames, const uint8_t *bytes, size_t n);

/** True between two fields. */
static inline bool pprof_frames_at_boundary(const struct pprof_frames *frames)
{
	return frames->state == FRAMES_TAG && frames->shift == 0;
}

#endif
