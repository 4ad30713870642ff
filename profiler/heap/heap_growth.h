/*
 * heap_growth.h - does what is live pile up over time? Told from when it was allocated.
 *
 * The time that is looked at is cut into equal windows, and for each the bytes are added up that
 * were allocated in it and are still live. A leak leaves about the same in every window; what was
 * made once is in one; a cache that was filled and stands is in the old ones; a cache or a queue
 * that turns over is in the young ones, and its remains get less with age.
 *
 * The rate is the median of the windows and its interval a pair of order statistics, which holds
 * for any distribution (sign test). Where blocks are freed at all, the youngest quarter is left
 * out: what is in there is partly what has not been freed *yet*.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_GROWTH_H
#define CPROF_HEAP_HEAP_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

enum { HEAP_GROWTH_WINDOWS = 20 };

/* Of less time windows would be a few ticks of the clock: nothing is judged. */
#define HEAP_GROWTH_LEAST_NS UINT64_C(2000000000)

enum heap_growth_verdict {
	HEAP_GROWTH_UNKNOWN, /* too short a time to tell */
	HEAP_GROWTH_PLATEAU, /* nothing that was allocated lately stays */
	HEAP_GROWTH_BURSTY,  /* in bursts, or turning over: no steady growth */
	HEAP_GROWTH_GROWING,
};

/** The stable name: "unknown", "plateau", "bursty", "growing". */
const char *heap_growth_name(enum heap_growth_verdict verdict);

/* Live bytes by when they were allocated. */
struct heap_births {
	uint64_t from_ns, to_ns; /* the time looked at */
	double bytes[HEAP_GROWTH_WINDOWS];
};

struct heap_growth {
	enum heap_growth_verdict verdict;
	double rate, low, high; /* bytes per second; 95 % interval */
	double mean;        /* of the same windows: differs from the median where it is uneven */
	unsigned n_windows; /* compared */
	unsigned n_hit;     /* of these, with births */
	uint64_t window_ns;
};

/** Add a block; one that was born at another time is not counted. */
void heap_births_add(struct heap_births *births, uint64_t born_ns, double bytes);

/**
 * Judge.
 *
 * @turnover: blocks of the same kind are freed in numbers that matter beside the live ones
 */
void heap_growth_judge(const struct heap_births *births, bool turnover, struct heap_growth *out);

#endif
