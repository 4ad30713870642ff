#include "spin.h"

#include <linux/futex.h>
#include <time.h>
#include <x86intrin.h>

#include "attributes.h"
#include "sys.h"

enum {
	SPIN_CYCLES = 15000, /* 5 us at 3 GHz */
	NAP_NS = 200 * 1000,
};

static bool spin(struct spin *lock)
{
	const uint64_t start = __rdtsc();
	do {
		_mm_pause();
		if (spin_try(lock))
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

/* Unless it was released meanwhile: then it is stuck no more. */
static void say_stuck(struct spin *lock)
{
	uint32_t held = SPIN_HELD;
	__atomic_compare_exchange_n(&lock->word, &held, SPIN_HELD | SPIN_STUCK, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

SHIM_ASIDE bool spin_wait(struct spin *lock, uint32_t found)
{
	if (found & SPIN_STUCK)
		say_stuck(lock);
	if (spin(lock))
		return true;
	for (unsigned i = 0; i < SPIN_NAPS; i++) {
		if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & SPIN_STUCK)
			return false;
		spin_nap(&lock->word, SPIN_HELD);
		if (spin_try(lock))
			return true;
	}
	say_stuck(lock);
	return false;
}
