/*
 * dump_size.h - how many bytes of stack a sample copies: as many as the stacks take, fewer when
 * the reader falls behind.
 *
 * A dump costs the target the copy and the ring the room, whether the stack fills it or not. So
 * the size moves on a ladder of powers of two: up when more than a small share of the walks end
 * for want of bytes, down when half would have done for a while, when all of the way up has bought
 * nothing, and at once when a ring runs full or records are lost: a shorter stack is worth more
 * than no sample.
 *
 * Only a decision: perf_events.h carries it out.
 *
 * Depends on: base, perf_attr.h (PERF_DUMP_MAX). Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_DUMP_SIZE_H
#define CPROF_CAPTURE_DUMP_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DUMP_RUNGS = 7, DUMP_RUNG_NONE = DUMP_RUNGS }; /* 1 KB to 64 KB - 8 */

/** The size of a rung. */
uint32_t dump_rung_bytes(unsigned rung);

/** The smallest rung of at least @bytes; DUMP_RUNG_NONE when there is none. */
unsigned dump_rung_of(uint64_t bytes);

/* What was found out about dumps while they were walked. Only ever grows. */
struct dump_use {
	uint64_t samples;
	uint64_t cut;                /* walks that wanted bytes which had not been copied */
	uint64_t fitted[DUMP_RUNGS]; /* the others, by the rung that would have held them */
};

/**
 * Count a walk.
 *
 * @used_bytes: of the dump, up to the outermost frame
 * @cut: it ended at the end of the dump, and the stack goes on
 */
static inline void dump_use_add(struct dump_use *use, uint64_t used_bytes, bool cut)
{
	unsigned rung = dump_rung_of(used_bytes);
	use->samples++;
	if (cut || rung == DUMP_RUNG_NONE)
		use->cut++;
	else
		use->fitted[rung]++;
}

struct dump_limits {
	unsigned start, least, most; /* rungs; least is for idle bytes, pressure goes below it */
};

/** What suits a rate and the size of a ring. */
struct dump_limits dump_limits_for(unsigned rate_hz, size_t ring_bytes);

struct dump_size {
	unsigned rung; /* now */
	struct dump_limits limits;
	/* figures for the header */
	unsigned smallest, largest;
	uint64_t n_changes, n_pressed; /* n_pressed: changes because of full rings */
	/* what was seen since the size changed, or since it was last judged */
	struct dump_use seen, recent, lasting;
	uint64_t recent_since_ns, lasting_since_ns;
	bool settling;            /* records of the size before are still on their way */
	bool by_pressure;         /* the last change */
	bool refused[DUMP_RUNGS]; /* sizes that could not be had, and are not asked for again */
	/* the way up: where it began, and the share of cut stacks there */
	bool climbing;
	unsigned climb_from;
	double climb_share;
	/* not to grow before; how long to wait the next time */
	uint64_t grow_after_ns, press_hold_ns, futile_hold_ns;
	unsigned quiet, quiet_needed; /* windows in which half would have done */
	uint64_t shrunk_ns;
};

/* Of one look at the rings. */
struct dump_look {
	const struct dump_use *use; /* so far */
	uint64_t lost;              /* records since the look before */
	size_t fill_bytes;          /* of the fullest ring, when it was read */
	size_t ring_bytes;
	uint64_t now_ns;
};

void dump_size_init(struct dump_size *size, struct dump_limits limits);

/** Take a look into account. Return: true when size->rung has changed. */
bool dump_size_look(struct dump_size *size, const struct dump_look *look);

/** The change that dump_size_look() asked for failed: back to @rung, and that size is not asked for
 * again, nor is any above it when it was larger. */
void dump_size_refuse(struct dump_size *size, unsigned rung);

#endif
