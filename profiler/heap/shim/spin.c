#include "spin.h"

#include <x86intrin.h>

/* 50 ms at 3 GHz, and not far from it on any x86-64 that there is. */
static const uint64_t patience_cycles = 150 * 1000 * 1000;

/* A look at a lock that is believed lost. */
static const uint64_t short_patience_cycles = 3000;

bool spin_wait(struct spin *lock)
{
	const bool stuck = __atomic_load_n(&lock->stuck, __ATOMIC_RELAXED);
	const uint64_t patience = stuck ? short_patience_cycles : patience_cycles;
	const uint64_t start = __rdtsc();
	do {
		_mm_pause();
		if (!__atomic_load_n(&lock->held, __ATOMIC_RELAXED) &&
		    !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE)) {
			if (stuck)
				__atomic_store_n(&lock->stuck, 0, __ATOMIC_RELAXED);
			return true;
		}
	} while (__rdtsc() - start < patience);
	__atomic_store_n(&lock->stuck, 1, __ATOMIC_RELAXED);
	return false;
}
