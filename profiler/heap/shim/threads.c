#include "threads.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

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

static void release_slot(struct thread_slot *slot)
{
	counters_release(&shim.counters, slot->replica);
	__atomic_store_n(&slot->used, 0, __ATOMIC_RELEASE);
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

static struct thread_slot *claim_slot(void)
{
	const uint32_t first = __atomic_load_n(&shim.next_slot, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < SHIM_SLOTS; i++) {
		struct thread_slot *slot = &shim.private->slots[(first + i) % SHIM_SLOTS];
		uint32_t unused = 0;
		if (__atomic_load_n(&slot->used, __ATOMIC_RELAXED) == 0 &&
		    __atomic_compare_exchange_n(&slot->used, &unused, 1, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED)) {
			slot->tid = own_tid();
			begin_stack(slot);
			return slot;
		}
	}
	return NULL;
}

struct thread_slot *threads_attach(void)
{
	struct thread_slot *slot = claim_slot();
	if (!slot)
		return NULL;
	slot->replica = shim.header->n_replicas - 1;
	/* without the key, nothing would give the slot back */
	if (shim_tls.exited || !has_key || pthread_setspecific(key, (void *)1) != 0) // NOLINT
		return slot;
	slot->replica = counters_claim(&shim.counters, slot->tid);
	shim_tls.slot = slot;
	shim_tls.epoch = shim.generation;
	return slot;
}

void threads_give_back(struct thread_slot *slot)
{
	__atomic_store_n(&slot->used, 0, __ATOMIC_RELEASE);
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
