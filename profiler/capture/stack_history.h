/*
 * stack_history.h - what is known of the outer part of a thread's stack, and whether it stays.
 *
 * A stack that is deeper than the bytes copied with its sample ends at a frame inside: its tail.
 * What lies outward of the tail can be taken from elsewhere: from an earlier stack of the thread
 * that has the same frame, or from memory read later. Neither is of the sample's moment. A thread
 * that returned from its outer functions meanwhile and came back through others, with frames of
 * the same sizes, leaves no trace in the bytes of the inner part. So such evidence is believed only
 * where the outer part was seen not to change: every stack that was found outward of the same tail
 * is compared with the one before, and a number of them in a row must have been equal.
 *
 * Of a thread whose outer part alternates between two stacks at random, each as often, 8 are equal
 * in a row once in 256 times; each difference doubles what is asked for, up to 32.
 *
 * Kept: the last whole stack of each of the 256 threads that had deep stacks last, exact in size,
 * 16 MB in all; threads that find no room are not completed. A thread is known by a number that is
 * never given again: another one with the same tid starts anew.
 *
 * Depends on: unwind.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_STACK_HISTORY_H
#define CPROF_CAPTURE_STACK_HISTORY_H

#include "unwind/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STACK_HISTORY_THREADS = 256,
	STACK_HISTORY_MAX_BYTES = 16 << 20,
	STACK_HISTORY_AGREEMENTS = 8, /* asked for at first */
	STACK_HISTORY_AGREEMENTS_MAX = 32,
	/* outermost callers that two stacks must share to be joined; of fewer, all of them */
	STACK_HISTORY_TAIL = 3,
};

/* An older stack says nothing about what the thread does now. */
#define STACK_HISTORY_AGE_MAX_NS UINT64_C(1000000000)

/* So old a stack is walked again, and not only found again. */
#define STACK_HISTORY_REFRESH_NS UINT64_C(250000000)

/* A stack that is too deep is looked at again after so long. */
#define STACK_HISTORY_DEEP_HOLD_NS UINT64_C(10000000)
#define STACK_HISTORY_DEEP_HOLD_MAX_NS UINT64_C(1000000000)

/* A frame by what identifies it. */
struct stack_link {
	uint64_t sp, pc;
};

struct stack_history {
	uint64_t key;             /* of the thread; 0 = unused */
	struct stack_link *links; /* of the last whole stack, leaf first; owned */
	size_t n;
	uint64_t taken_ns;      /* when that stack was so */
	uint64_t agreed_ns;     /* when its outer part was last seen so, >= taken_ns */
	bool has_fp_frames;     /* frames of it were found without unwind information */
	bool by_libunwind;      /* it was walked by that */
	struct stack_link tail; /* of the last stack that was cut */
	unsigned agreements;    /* in a row */
	unsigned needed;
	size_t *n_bytes; /* of all histories' links */
	/* a stack too deep to follow: where its copy ended, and until when that is not tried again
	 */
	uint64_t deep_end, deep_until_ns, deep_hold_ns;
};

struct stack_histories {
	struct stack_history *slots; /* STACK_HISTORY_THREADS, by key */
	uint64_t last_key;
	size_t n_bytes;
};

/** Return: 0 or -ENOMEM. */
int stack_histories_init(struct stack_histories *histories);
void stack_histories_deinit(struct stack_histories *histories);

/** The history of a thread that has one. Return: NULL = none. */
struct stack_history *stack_histories_find(const struct stack_histories *histories, uint64_t key);

/** The same, made when there is none. @key: of the thread; 0 at first, and set here. */
struct stack_history *stack_histories_get(struct stack_histories *histories, uint64_t *key);

/** A stack was cut at its last frame. @result: with its sps, n >= 1 */
void stack_history_cut(struct stack_history *history, const struct unwind_result *result);

enum stack_agreement {
	STACK_AGREES,    /* outward of the tail it is what was there before */
	STACK_DIFFERS,   /* it is another one */
	STACK_UNRELATED, /* one of the two does not have the tail */
};

/**
 * A whole stack was seen: compare it outward of the last tail, and keep it.
 *
 * @result:    with its sps; one without the tail is not kept, unless none is
 * @sample_ns: when its sample was taken
 * @seen_ns:   when its outer part was so, >= @sample_ns
 *
 * Several samples may be completed by one look into memory: they agree with each other, and that
 * says nothing. So an agreement counts only when the sample is younger than the last look.
 */
enum stack_agreement stack_history_see(struct stack_history *history,
				       const struct unwind_result *result, uint64_t sample_ns,
				       uint64_t seen_ns);

/**
 * The kept links outward of the last tail: what a look into memory has to find again for the stack
 * to be the same, without walking it.
 *
 * Return: NULL when that stack does not have the tail, is older than STACK_HISTORY_REFRESH_NS, or
 *         is not one of which return addresses tell all.
 */
const struct stack_link *stack_history_outer(const struct stack_history *history,
					     uint64_t sample_ns, size_t *n);

/** They were found again at @seen_ns. The kept stack itself is not made younger by that. */
void stack_history_confirm(struct stack_history *history, uint64_t sample_ns, uint64_t seen_ns);

/** Add the outer part of the kept stack to one that was cut at the last tail. */
void stack_history_append(const struct stack_history *history, struct unwind_result *result);

/** True while a stack whose copy ends at @end needs no look to be too deep. */
bool stack_history_is_too_deep(const struct stack_history *history, uint64_t end,
			       uint64_t sample_ns);

/** A look has found no root within reach: the next one in 10 ms, and twice as late each time. */
void stack_history_too_deep(struct stack_history *history, uint64_t end, uint64_t seen_ns);

/** True when the outer part of the thread's stacks was the same often enough in a row. */
bool stack_history_is_settled(const struct stack_history *history);

/**
 * Complete a stack that was cut by the kept one, when its outermost STACK_HISTORY_TAIL callers are
 * on that, and it is settled and recent. The leaf is none: it runs on, and proves nothing.
 *
 * @result: with its sps; its outer part is added, as unwinder_walk() would leave it
 * Return: false: it is unchanged.
 */
bool stack_history_join(const struct stack_history *history, struct unwind_result *result,
			uint64_t sample_ns);

#endif
