#include "pprof_frames.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pprof_frames_deinit(struct pprof_frames *frames)
{
	free(frames->carry);
	*frames = (struct pprof_frames){0};
}

static bool wants(const struct pprof_frames *frames)
{
	return frames->field < 64 && frames->wanted >> frames->field & 1;
}

/* Add a byte to the varint being read. Return: 1 when it was the last, 0, or -EBADMSG. */
static int varint_byte(struct pprof_frames *frames, uint8_t byte)
{
	if (frames->shift == 63 && byte > 1)
		return -EBADMSG; /* more than 64 bits */
	frames->varint |= (uint64_t)(byte & 0x7f) << frames->shift;
	frames->shift += 7;
	if (byte & 0x80)
		return frames->shift > 63 ? -EBADMSG : 0;
	frames->shift = 0;
	return 1;
}

static int begin_field(struct pprof_frames *frames)
{
	uint64_t field = frames->varint >> 3;
	if (field == 0 || field >= 1 << 29)
		return -EBADMSG;
	frames->field = (uint32_t)field;
	switch (frames->varint & 7) {
	case WIRE_VARINT:
		frames->state = FRAMES_NUMBER;
		return 0;
	case WIRE_BYTES:
		frames->state = FRAMES_LENGTH;
		return 0;
	case WIRE_FIXED64:
		frames->state = FRAMES_SKIP;
		frames->left = 8;
		break;
	case WIRE_FIXED32:
		frames->state = FRAMES_SKIP;
		frames->left = 4;
		break;
	default:
		return -EBADMSG;
	}
	/* no field of a profile has a fixed width */
	return wants(frames) ? -EBADMSG : 0;
}

static int take_bytes(struct pprof_frames *frames, const uint8_t *bytes, size_t n)
{
	frames->state = FRAMES_TAG;
	frames->n_carry = 0;
	struct pprof_field_value value = {
		.field = frames->field, .is_bytes = true, .bytes = bytes, .n = n};
	return frames->take(frames->ctx, &value);
}

/* A varint is complete: a tag, a number or a length. */
static int varint_done(struct pprof_frames *frames)
{
	uint64_t varint = frames->varint;
	int rc = 0;
	if (frames->state == FRAMES_TAG) {
		rc = begin_field(frames);
	} else if (frames->state == FRAMES_NUMBER) {
		frames->state = FRAMES_TAG;
		struct pprof_field_value value = {.field = frames->field, .number = varint};
		if (wants(frames))
			rc = frames->take(frames->ctx, &value);
	} else if (!wants(frames)) {
		frames->state = varint ? FRAMES_SKIP : FRAMES_TAG;
		frames->left = varint;
	} else if (varint > frames->max_bytes) {
		rc = -EBADMSG;
	} else if (varint == 0) {
		rc = take_bytes(frames, (const uint8_t *)"", 0);
	} else {
		frames->state = FRAMES_BYTES;
		frames->left = varint;
	}
	frames->varint = 0;
	return rc;
}

/* Keep a part of a field until the rest comes. */
static int carry_bytes(struct pprof_frames *frames, const uint8_t *bytes, size_t n)
{
	uint8_t *grown =
		cp_array_reserve(frames->carry, &frames->cap_carry, frames->n_carry + n, 1);
	if (!grown)
		return -ENOMEM;
	frames->carry = grown;
	memcpy(grown + frames->n_carry, bytes, n);
	frames->n_carry += n;
	return 0;
}

/* Bytes of a field's body, at most frames->left of them. */
static int body_bytes(struct pprof_frames *frames, const uint8_t *bytes, size_t n)
{
	frames->left -= n;
	if (frames->state == FRAMES_SKIP) {
		if (!frames->left)
			frames->state = FRAMES_TAG;
		return 0;
	}
	if (!frames->left && !frames->n_carry)
		return take_bytes(frames, bytes, n);
	int rc = carry_bytes(frames, bytes, n);
	if (!rc && !frames->left)
		rc = take_bytes(frames, frames->carry, frames->n_carry);
	return rc;
}

int pprof_frames_feed(struct pprof_frames *frames, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		int rc;
		if (frames->state == FRAMES_BYTES || frames->state == FRAMES_SKIP) {
			size_t part = n - i < frames->left ? n - i : (size_t)frames->left;
			rc = body_bytes(frames, bytes + i, part);
			i += part;
		} else {
			rc = varint_byte(frames, bytes[i++]);
			if (rc == 1)
				rc = varint_done(frames);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}
