#include "base/cleanup.h"
#include "gzip_in.h"
#include "pprof_decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct scan {
	struct pprof_raw *raw;
	struct raw_counts whole; /* of raw, up to the last whole member */
	struct pprof_extent *extent;
	struct pprof_frames frames;
	struct gzip_in gz;
	int bad; /* why the current member is no part of a profile: -EBADMSG, -ENOMEM */
	uint8_t chunk[GZIP_IN_CHUNK];
};

/*
 * Data that does not parse is the fault of the member's CRC when that is wrong too: a torn or
 * damaged member. So a member is read to its end before it is judged.
 */
static int end_member(struct scan *scan, struct cp_err *err)
{
	if (scan->bad == -EBADMSG && scan->gz.bare)
		return cp_fail(err, -EBADMSG,
			       "not a profile: neither gzip nor an uncompressed pprof message");
	if (scan->bad == -EBADMSG)
		return cp_fail(err, -EBADMSG,
			       "not a profile: the gzip data at byte %" PRIu64
			       " holds something other than pprof",
			       scan->gz.member_off);
	if (scan->bad)
		return pprof_decode_fail(err, scan->bad);
	/* a producer may cut its members anywhere; what counts is whole fields */
	if (!pprof_frames_at_boundary(&scan->frames))
		return 0;
	scan->extent->members++;
	scan->extent->bytes_out = scan->gz.n_out;
	scan->extent->bytes_in = scan->gz.next_off - scan->gz.stream.avail_in;
	scan->whole = scan->raw->n;
	return 0;
}

static int end_torn(struct scan *scan, struct cp_err *err)
{
	if (!scan->extent->members)
		return cp_fail(err, -EBADMSG, "damaged from byte %" PRIu64 " on: %s",
			       scan->gz.member_off, scan->gz.problem);
	scan->raw->n = scan->whole;
	return 0;
}

static int end_source(struct scan *scan, struct cp_err *err)
{
	if (scan->gz.n_out == 0)
		return cp_fail(err, -EBADMSG, "the file is empty: nothing was recorded");
	if (pprof_frames_at_boundary(&scan->frames))
		return 0;
	if (scan->gz.bare)
		return cp_fail(err, -EBADMSG,
			       "not a profile, or cut in the middle of a field: neither gzip nor "
			       "an uncompressed pprof message");
	if (!scan->extent->members)
		return cp_fail(err, -EBADMSG,
			       "not a profile: the gzip data holds something other than pprof, or "
			       "ends in the middle of a field");
	return cp_fail(err, -EBADMSG, "damaged: it ends in the middle of a field");
}

static int end_failed(struct scan *scan, struct cp_err *err)
{
	if (scan->gz.status == -E2BIG)
		return cp_fail(err, -E2BIG,
			       "expands to more than %" PRIu64
			       " bytes: too large, or not a profile",
			       scan->gz.max_out);
	return pprof_decode_fail(err, scan->gz.status);
}

static int scan_members(struct scan *scan, struct cp_err *err)
{
	for (;;) {
		size_t n;
		int rc = 0;
		switch (gzip_in_next(&scan->gz, scan->chunk, sizeof(scan->chunk), &n)) {
		case GZIP_DATA:
			if (!scan->bad)
				scan->bad = pprof_frames_feed(&scan->frames, scan->chunk, n);
			break;
		case GZIP_MEMBER_END:
			rc = end_member(scan, err);
			break;
		case GZIP_END:
			return end_source(scan, err);
		case GZIP_TORN:
			return end_torn(scan, err);
		case GZIP_FAILED:
			return end_failed(scan, err);
		}
		if (rc)
			return rc;
	}
}

int pprof_scan(const struct byte_source *source, struct pprof_raw *raw, struct pprof_extent *extent,
	       struct cp_err *err)
{
	*extent = (struct pprof_extent){0};
	CP_CLEANUP(cp_free) struct scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return cp_fail_nomem(err);
	scan->raw = raw;
	scan->extent = extent;
	scan->frames.wanted = pprof_raw_wanted;
	scan->frames.max_bytes = PPROF_MAX_FIELD_BYTES;
	scan->frames.take = pprof_raw_take;
	scan->frames.ctx = raw;
	int rc = gzip_in_init(&scan->gz, source);
	if (rc)
		return pprof_decode_fail(err, rc);
	rc = scan_members(scan, err);
	gzip_in_deinit(&scan->gz);
	pprof_frames_deinit(&scan->frames);
	return rc;
}
