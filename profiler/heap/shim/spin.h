/*
 * spin.h - a lock that is held for a few nanoseconds, and that nobody waits for for ever.
 *
 * One word, so that it fits beside what it guards. Releasing is a plain store. Waiting is a pause
 * for some microseconds; then the holder is off its CPU, perhaps because too many threads spin, and
 * the waiter sleeps for a moment: by futex, which a sandbox of a program with threads has to allow
 * anyway, since libc's malloc needs it. A holder can be gone for good (a signal handler that jumps
 * out of malloc): after about a second the event is given up, and from then on nobody waits long
 * for this lock until it was free once.
 *
 * While the process has one thread no atomic operation is made: glibc's malloc relies on the same
 * flag, and a signal handler's events do not get here (shim_tls.busy).
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_SPIN_H
#define CPROF_HEAP_SHIM_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct spin {
	uint32_t word; /* enum spin_state */
};

enum spin_state {
	SPIN_HELD = 1,
	SPIN_STUCK = 2, /* somebody has waited in vain; gone with the release */
};

/* glibc 2.32; false from before the second thread starts on. */
extern char __libc_single_threaded __attribute__((weak));

static inline bool spin_single_threaded(void)
{
	return &__libc_single_threaded && __libc_single_threaded;
}

enum { SPIN_NAPS = 4000 }; /* about a second: more than a CPU quota keeps a holder off its CPU */

/** Sleep for a moment, while *word is @value. */
void spin_nap(uint32_t *word, uint32_t value);

/** The slow part of spin_take(). @found: what the first attempt put SPIN_HELD in place of */
bool spin_wait(struct spin *lock, uint32_t found);

/** Return: false when it was held for too long. */
static inline bool spin_take(struct spin *lock)
{
	if (__builtin_expect(spin_single_threaded(), 1))
		return true;
	const uint32_t found = __atomic_exchange_n(&lock->word, SPIN_HELD, __ATOMIC_ACQUIRE);
	return __builtin_expect(!(found & SPIN_HELD), 1) || spin_wait(lock, found);
}

/** Without waiting. Return: false when it is held. */
static inline bool spin_try(struct spin *lock)
{
	if (spin_single_threaded())
		return true;
	uint32_t found = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
	return !(found & SPIN_HELD) &&
	       __atomic_compare_exchange_n(&lock->word, &found, SPIN_HELD, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void spin_release(struct spin *lock)
{
	__atomic_store_n(&lock->word, 0, __ATOMIC_RELEASE);
}

#endif
