/*
 * shim.h - what the parts of libcprof_heap.so share: the process' state and the thread's.
 *
 * A hook reads two words before it does anything: shim_mine->active, which is 0 before the file is
 * ready and in every forked child (the page is wiped on fork, so that it is true even for a child
 * that was made without libc's knowledge), and shim_tls.busy, which is set while this thread is
 * inside an event, so that a signal handler's allocations there go straight through.
 *
 * Depends on: all of the shim's data structures. Threads: shim_tls is each thread's own; the rest
 * is made by the constructor, and in a forked child while that has one thread.
 */
#ifndef CPROF_HEAP_SHIM_SHIM_H
#define CPROF_HEAP_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "block_table.h"
#include "counters.h"
#include "heap/heap_file.h"
#include "modules.h"
#include "node_table.h"
#include "rule_cache.h"
#include "sampler.h"
#include "stack_walk.h"

#define SHIM_LIKELY(x) __builtin_expect(!!(x), 1)
#define SHIM_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum {
	SHIM_SLOTS = 1024,
	SHIM_LENT_SLOTS =
		64, /* of them; threads that have none of their own borrow one per event */
};

/* What a thread needs to record; too large for TLS. */
struct thread_slot {
	uint32_t tid;
	uint32_t replica;
	uint64_t last_address; /* of the block that the thread's last event allocated, or 0 */
	struct block_cache blocks;
	struct stack_walker walker;
};

/*
 * In static TLS, of which the loader keeps little to spare for libraries. Everything that can be
 * elsewhere is.
 */
struct shim_tls {
	uint64_t countdown; /* bytes before the next sample; 0 as well: not begun, or exact mode */
	uint64_t random;    /* 0 = not begun */
	uint64_t releasing; /* the block that operator delete is about to free */
	uint64_t asked;     /* of an aligned operator new, before it rounds the size up */
	struct thread_slot *slot;
	uint32_t epoch;    /* of shim.generation, in which slot is valid */
	uint8_t busy;      /* inside an event */
	uint8_t resolving; /* inside dlsym */
	uint8_t nested;    /* a hook of the malloc family ran: see hooks_cxx.c */
	uint8_t exited;    /* the thread's destructors ran: slots are borrowed */
};
_Static_assert(sizeof(struct shim_tls) <= 64, "a library must not need more static TLS");

extern __thread struct shim_tls shim_tls __attribute__((tls_model("initial-exec")));

struct shim_mine {
	uint32_t active;
	uint32_t tried; /* a forked child has tried to make a file of its own */
};
extern struct shim_mine *shim_mine;

/* The private memory: one reservation, touched as it is needed. */
struct shim_private {
	uint8_t slots_used[SHIM_SLOTS]; /* together: a search looks at all of them */
	struct thread_slot slots[SHIM_SLOTS];
	struct rule_cache rules;
	struct sample_filter filter;
	/* the block table's private memory and the node table's heads follow */
} __attribute__((aligned(64)));

struct shim {
	struct heap_header *header;
	struct shim_private *private;
	struct block_table blocks;
	struct node_table nodes;
	struct module_table modules;
	struct counters counters;
	struct walk_context walk;
	uint64_t sample_bytes;
	uint64_t seed;
	uint64_t start_ns;
	uint32_t generation;  /* of this process' file: raised in a forked child */
	uint32_t rules_epoch; /* of shim_private.rules: see heap_header.module_epoch */
	uint32_t n_threads;   /* that began to sample */
	bool started;         /* the environment was looked at */
	bool follow_forks;
	bool was_active; /* this process or the one it was forked from */
};
extern struct shim shim;

/** Begin recording in this process, at its first event. Return: true when it did. */
bool shim_begin(void);

/** Begin in a forked child of a process that was recorded. */
bool shim_begin_in_child(void);

static inline void shim_count_loss(enum heap_loss loss)
{
	__atomic_fetch_add(&shim.header->losses[loss], 1, __ATOMIC_RELAXED);
}

#endif
