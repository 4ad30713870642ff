/*
 * threads.h - which slot a thread records with.
 *
 * A thread claims a slot at its first event and gives it back when it ends: by a pthread key, as
 * late as its destructors can run. What it frees afterwards (other keys, libc's own) is recorded
 * with a slot borrowed for that event, as is what threads do that find none free. Some slots are
 * only lent: a free that is not recorded would leave a block in the table that is none.
 *
 * Depends on: shim.h. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_THREADS_H
#define CPROF_HEAP_SHIM_THREADS_H

#include "shim.h"

/** From the constructor: the key, and where glibc keeps a thread's id. */
void threads_init(void);

/** The main thread of this process begins, at a file's start, with busy set. @sp: on its stack */
void threads_begin_main(uint64_t sp);

/** The slow part of threads_enter(). Return: NULL when there is no slot. */
struct thread_slot *threads_attach(void);

/** Give back what threads_attach() lent. */
void threads_give_back(struct thread_slot *slot);

/** Begin an event. Return: the slot, or NULL: nothing can be recorded, and busy is not set. */
static inline struct thread_slot *threads_enter(void)
{
	shim_tls.busy = 1;
	/* a handler's events stay out before the first table is touched; no lock says so here */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (SHIM_LIKELY(shim_tls.slot && shim_tls.epoch == shim.generation))
		return shim_tls.slot;
	struct thread_slot *slot = threads_attach();
	if (!slot)
		shim_tls.busy = 0;
	return slot;
}

static inline void threads_leave(struct thread_slot *slot)
{
	if (SHIM_UNLIKELY(slot != shim_tls.slot))
		threads_give_back(slot);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	shim_tls.busy = 0;
}

#endif
