#include "threads.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "attributes.h"
#include "spin.h"
#include "sys.h"

extern void *__libc_stack_end __attribute__((weak));

static pthread_key_t key;
static bool has_key;
static uint32_t main_tid;
static bool knows_tid_offset;

/*
 * Where glibc's struct pthread has the thread's id: the same since 2.4 on x86-64, and believed only
 * after a look at the main thread's. gettid() may be forbidden by the time a thread begins here.
 */
enum { TID_OFFSET = 0x2d0 };

static uint64_t thread_pointer(void)
{
	uint64_t tp;
	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

static uint32_t tid_in_tcb(void)
{
	return *(const uint32_t *)(uintptr_t)(thread_pointer() + TID_OFFSET); // NOLINT
}

static uint32_t own_tid(void)
{
	return knows_tid_offset ? tid_in_tcb() : sys_gettid();
}

SHIM_ASIDE void threads_give_back(struct thread_slot *slot)
{
	__atomic_store_n(&shim.private->slots_used[slot - shim.private->slots], 0,
			 __ATOMIC_RELEASE);
}

static void release_slot(struct thread_slot *slot)
{
	counters_release(&shim.counters, slot->replica);
	threads_give_back(slot);
}

/*
 * Destructors of other keys free memory too, and run in the order of their keys: going round until
 * the last iteration lets this one be late. The value counts the rounds.
 */
static void at_thread_exit(void *value)
{
	const uintptr_t round = (uintptr_t)value;
	if (round < PTHREAD_DESTRUCTOR_ITERATIONS &&
	    pthread_setspecific(key, (void *)(round + 1)) == 0) // NOLINT: a number
		return;
	struct thread_slot *slot = shim_tls.slot;
	shim_tls.exited = 1;
	shim_tls.slot = NULL;
	if (slot && shim_tls.epoch == shim.generation && shim_mine->active)
		release_slot(slot);
}

void threads_init(void)
{
	has_key = pthread_key_create(&key, at_thread_exit) == 0;
}

static void begin_stack(struct thread_slot *slot)
{
	slot->walker.last.n = 0;
	slot->walker.epoch = 0;
	slot->last_address = 0;
	stack_bounds_init_thread(&slot->walker.stack, thread_pointer());
}

/* One of @n slots from number @first on. */
static struct thread_slot *claim_slot(uint32_t first, uint32_t n)
{
	const uint32_t tid = own_tid();
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t at = first + (tid + i) % n;
		uint8_t *used = &shim.private->slots_used[at];
		if (__atomic_load_n(used, __ATOMIC_RELAXED) ||
		    __atomic_exchange_n(used, 1, __ATOMIC_ACQUIRE))
			continue;
		struct thread_slot *slot = &shim.private->slots[at];
		slot->tid = tid;
		slot->replica = shim.header->n_replicas - 1;
		begin_stack(slot);
		return slot;
	}
	return NULL;
}

enum { OWN = SHIM_SLOTS - SHIM_LENT_SLOTS };

/* Waits as for a lock: those that have one are in the middle of an event. */
static struct thread_slot *borrow_slot(void)
{
	static bool stuck; /* somebody has waited in vain */
	uint32_t word = 0;
	for (unsigned i = 0; i < SPIN_NAPS; i++) {
		struct thread_slot *slot = claim_slot(OWN, SHIM_LENT_SLOTS);
		const bool waits = !slot && !__atomic_load_n(&stuck, __ATOMIC_RELAXED);
		if (slot && __atomic_load_n(&stuck, __ATOMIC_RELAXED))
			__atomic_store_n(&stuck, false, __ATOMIC_RELAXED);
		if (!waits)
			return slot;
		spin_nap(&word, 0);
	}
	__atomic_store_n(&stuck, true, __ATOMIC_RELAXED);
	return NULL;
}

SHIM_ASIDE struct thread_slot *threads_attach(void)
{
	/* without the key, nothing would give the slot back */
	struct thread_slot *slot = shim_tls.exited || !has_key ? NULL : claim_slot(0, OWN);
	if (!slot)
		return borrow_slot();
	if (pthread_setspecific(key, (void *)1) != 0) // NOLINT: a number
		return slot;
	slot->replica = counters_claim(&shim.counters, slot->tid);
	shim_tls.slot = slot;
	shim_tls.epoch = shim.generation;
	return slot;
}

void threads_begin_main(uint64_t sp)
{
	main_tid = sys_gettid();
	knows_tid_offset = tid_in_tcb() == main_tid;
	shim_tls.slot = NULL;
	struct thread_slot *slot = threads_attach();
	if (slot && main_tid == (uint32_t)getpid() && &__libc_stack_end)
		stack_bounds_init_main(&slot->walker.stack, sp,
				       (uint64_t)(uintptr_t)__libc_stack_end + sizeof(uint64_t));
	if (slot && slot != shim_tls.slot)
		threads_give_back(slot);
}
