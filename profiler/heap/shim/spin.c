#include "spin.h"

#include <linux/futex.h>
#include <time.h>
#include <x86intrin.h>

#include "sys.h"

enum {
	SPIN_CYCLES = 15000, /* 5 us at 3 GHz */
	NAP_NS = 200 * 1000,
};

static bool try_take(struct spin *lock)
{
	return !__atomic_load_n(&lock->held, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE);
}

static bool spin(struct spin *lock)
{
	const uint64_t start = __rdtsc();
	do {
		_mm_pause();
		if (try_take(lock))
			return true;
	} while (__rdtsc() - start < SPIN_CYCLES);
	return false;
}

/* Nobody wakes a sleeper: that would cost each release an atomic operation. */
void spin_nap(uint32_t *word, uint32_t value)
{
	const struct timespec time = {.tv_nsec = NAP_NS};
	sys_futex_wait(word, value, &time);
}

bool spin_wait(struct spin *lock)
{
	if (spin(lock)) {
		__atomic_store_n(&lock->stuck, 0, __ATOMIC_RELAXED);
		return true;
	}
	if (__atomic_load_n(&lock->stuck, __ATOMIC_RELAXED))
		return false;
	for (unsigned i = 0; i < SPIN_NAPS; i++) {
		spin_nap(&lock->held, 1);
		if (try_take(lock))
			return true;
	}
	__atomic_store_n(&lock->stuck, 1, __ATOMIC_RELAXED);
	return false;
}
