/*
 * last_stack.h - the stack that a thread walked last, and how to tell that it still stands.
 *
 * For every word of the stack that the walk depended on (return addresses; saved rbps where a frame
 * further out is found by rbp) the address and the value are kept. If all words from a frame
 * outward have their values, then a walk from that frame would find what it found: nothing is taken
 * on trust.
 *
 * Depends on: heap_file.h, rule_cache.h. Threads: one struct each.
 */
#ifndef CPROF_HEAP_SHIM_LAST_STACK_H
#define CPROF_HEAP_SHIM_LAST_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/heap_file.h"
#include "rows/cfi_step.h"
#include "rule_cache.h"

/*
 * Whole words, each stored and loaded as such: a frame is read back a few nanoseconds after it was
 * written, and a load that spans several stores would wait for all of them to reach the cache.
 */
struct walk_frame {
	uint64_t rip, rsp, rbp;
	uint64_t rbp_slot; /* the address that the caller's rbp was read from; 0 = kept */
	uint64_t info;     /* enum heap_stack_flag, enum walk_info */
};

enum walk_info {
	WALK_FLAGS = UINT16_MAX,    /* enum heap_stack_flag */
	WALK_INTERRUPTED = 1 << 16, /* rip is the pc itself, no return address */
	WALK_SIGNAL = 1 << 17,      /* the caller is what a signal interrupted */
	WALK_DEREF = 1 << 18,       /* the caller's stack pointer was read from memory */
	WALK_USES_RBP = 1 << 19,    /* the caller was computed from rbp */
	WALK_SKIPPED = 1 << 21,     /* a hook, or called by one: no part of the stack's node */
	WALK_RBP_MATTERS = 1 << 20, /* so it was, or one further out while rbp is still the same */
};

/* A word of the stack that a remembered frame's caller was computed from. */
struct walk_word {
	uint64_t address, value;
};

enum {
	LAST_STACK_WORDS = HEAP_FRAMES_MAX * 3,
	RECALL_SETS = 32,
	RECALL_WAYS = 4,
	RECALL_WORDS = 16,
	RECALL_NONE = 0, /* a node that is none */
};

/*
 * A stack that was walked lately: programs allocate in loops, with a handful of different innermost
 * frames. All words of it, or where they are too many, those inside of a frame that it shares with
 * the remembered stack, for as long as that one is not changed there.
 */
struct walk_recall {
	uint64_t rip, rsp, rbp; /* of the leaf; rip 0 = nothing */
	uint64_t rbp_mask;      /* 0 = rbp does not matter */
	uint64_t hi;            /* end of the stack it was on */
	uint64_t stamp;         /* stamps[at - 1] then: last[0 .. at) is the same since */
	uint32_t at, node;      /* at 0 = all words are here */
	uint64_t n_words;       /* > 0 */
	struct walk_word words[RECALL_WORDS];
};

struct last_stack {
	uint32_t n;                                /* frames; 0 = nothing is remembered */
	uint64_t hi;                               /* end of the stack it was on */
	struct walk_frame frames[HEAP_FRAMES_MAX]; /* root first */
	uint32_t nodes[HEAP_FRAMES_MAX];
	/* frames[0 .. i] are what they were while words[0 .. ends[i]) have their values */
	uint32_t ends[HEAP_FRAMES_MAX];
	struct walk_word words[LAST_STACK_WORDS];
	uint64_t stamps[HEAP_FRAMES_MAX]; /* when frames[i] was written */
	uint64_t stamp;
	uint64_t n_kept;
	struct walk_recall recalls[RECALL_SETS][RECALL_WAYS];
};

static inline uint64_t last_stack_load(uint64_t address)
{
	return *(const uint64_t *)(uintptr_t)address; // NOLINT: within the proven range
}

/** The address inside the instruction that a frame is at. */
static inline uint64_t walk_frame_lookup(uint64_t rip, uint64_t info)
{
	return rip - !(info & WALK_INTERRUPTED);
}

/**
 * Remember @frame as the one number @at, whose caller is the one before.
 *
 * Return: false when there is no room: the stack may not be remembered.
 */
bool last_stack_remember(struct last_stack *last, struct rule_cache *rules, uint32_t at,
			 const struct walk_frame *frame);

/** Keep a stack whose frames from number @left on are new, to be recalled by its leaf. */
void last_stack_keep(struct last_stack *last, const struct cfi_regs *leaf, uint32_t left,
		     uint32_t node);

/** Recall nothing of what was. */
void last_stack_forget(struct last_stack *last);

static inline uint64_t last_stack_change(const struct walk_word *word)
{
	return last_stack_load(word->address) ^ word->value;
}

/* Whether words [from, to) have their values. Most have, so that it pays to look at several at
 * once. */
static inline bool last_stack_words_stand(const struct walk_word *words, uint32_t from, uint32_t to)
{
	const struct walk_word *at = words + from;
	const struct walk_word *end = words + to;
	uint64_t changed = 0;
	for (; end - at >= 4; at += 4)
		changed |= (last_stack_change(at) | last_stack_change(at + 1)) |
			   (last_stack_change(at + 2) | last_stack_change(at + 3));
	for (; at < end; at++)
		changed |= last_stack_change(at);
	return changed == 0;
}

/**
 * Compare what the remembered stack was computed from with memory, from frame @at outward. Return:
 * the outermost frame that is proven to be on the stack now; 0 = all are.
 *
 * Where the stack differs, it mostly does so right here: calls from two lines of one function.
 */
static inline uint32_t last_stack_verify(const struct last_stack *last, uint32_t at)
{
	const uint32_t *ends = last->ends;
	if (at == 0)
		return 0;
	if (!last_stack_words_stand(last->words, ends[at - 1], ends[at]))
		return at;
	if (__builtin_expect(last_stack_words_stand(last->words, 0, ends[at - 1]), 1))
		return 0;
	do
		at--;
	while (at && last_stack_words_stand(last->words, ends[at - 1], ends[at]));
	return at;
}

static inline struct walk_recall *last_stack_recalls(struct last_stack *last,
						     const struct cfi_regs *leaf)
{
	const uint64_t mixed = (leaf->rip ^ leaf->rsp << 16) * UINT64_C(0x9e3779b97f4a7c15);
	_Static_assert(RECALL_SETS == 32, "five bits");
	return last->recalls[mixed >> 59];
}

/* Whether the frames outside of a stack's own words are those that it had. */
static inline bool last_stack_outer_stands(const struct last_stack *last,
					   const struct walk_recall *known)
{
	const uint32_t at = known->at;
	return at == 0 || (at <= last->n && known->stamp == last->stamps[at - 1] &&
			   last_stack_words_stand(last->words, 0, last->ends[at - 1]));
}

/**
 * The node of a stack like one of the last few. RECALL_NONE = walk.
 *
 * @hi: end of the stack that @leaf is on; up to there it can be read
 */
static inline uint32_t last_stack_recall(struct last_stack *last, const struct cfi_regs *leaf,
					 uint64_t hi)
{
	const struct walk_recall *known = last_stack_recalls(last, leaf);
	for (unsigned i = 0; i < RECALL_WAYS; i++, known++) {
		/* innermost first: there they differ */
		if (known->rsp == leaf->rsp && known->rip == leaf->rip && known->hi == hi &&
		    !((known->rbp ^ leaf->rbp) & known->rbp_mask) &&
		    !last_stack_change(&known->words[known->n_words - 1]) &&
		    last_stack_words_stand(known->words, 0, (uint32_t)known->n_words - 1) &&
		    last_stack_outer_stands(last, known))
			return known->node;
	}
	return RECALL_NONE;
}

#endif
