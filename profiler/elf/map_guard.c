#include "map_guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Files of one binary: itself, its debug file, a shared one, split ones by the unit. */
enum { MAX_GUARDS = 8192 };

/* Free: start = 0. The handler reads them while others write: start is set last, cleared first. */
static struct guard {
	atomic_uintptr_t start, end; /* whole pages */
	atomic_bool hit;
} guards[MAX_GUARDS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows, and a free guard */
static struct sigaction before;
static uintptr_t page_bytes;
static _Thread_local volatile sig_atomic_t opening, opening_hit;

static bool put_zeros(uintptr_t start, uintptr_t end)
{
	void *at = (void *)start; /* NOLINT(performance-no-int-to-ptr): where the signal was */
	return mmap(at, end - start, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* A truncated file has nothing behind the page either: that all goes at once. */
static bool mend(uintptr_t page)
{
	for (size_t i = 0; i < MAX_GUARDS; i++) {
		const uintptr_t start = atomic_load(&guards[i].start);
		const uintptr_t end = atomic_load(&guards[i].end);
		if (start == 0 || page < start || page >= end)
			continue;
		atomic_store(&guards[i].hit, true);
		return put_zeros(page, end);
	}
	if (!opening)
		return false;
	opening_hit = 1;
	return put_zeros(page, page + page_bytes);
}

/* mmap() is a bare system call here, as safe in a handler as any. */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
	(void)context;
	const bool is_fault = info->si_code > 0; /* not one that somebody sent */
	if (is_fault && mend((uintptr_t)info->si_addr & ~(page_bytes - 1)))
		return;
	sigaction(SIGBUS, &before, NULL);
	if (!is_fault)
		raise(number); /* pending until the return; a fault repeats itself */
}

/* Looked at each time: somebody may have put another handler there meanwhile. */
static void install(void)
{
	struct sigaction now;
	if (sigaction(SIGBUS, NULL, &now) == 0 && now.sa_sigaction == on_sigbus)
		return;
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	before = now;
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, NULL);
}

int map_guard_add(const void *bytes, size_t n)
{
	int found = MAP_GUARD_NONE;
	if (!bytes || n == 0)
		return found;
	pthread_mutex_lock(&lock);
	install();
	const uintptr_t start = (uintptr_t)bytes & ~(page_bytes - 1);
	const uintptr_t end = ((uintptr_t)bytes + n + page_bytes - 1) & ~(page_bytes - 1);
	for (int i = 0; i < MAX_GUARDS && found == MAP_GUARD_NONE; i++)
		if (atomic_load(&guards[i].start) == 0)
			found = i;
	if (found != MAP_GUARD_NONE) {
		atomic_store(&guards[found].hit, false);
		atomic_store(&guards[found].end, end);
		atomic_store(&guards[found].start, start);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool map_guard_hit(int guard)
{
	return guard >= 0 && atomic_load(&guards[guard].hit);
}

void map_guard_remove(int guard)
{
	if (guard >= 0)
		atomic_store(&guards[guard].start, 0);
}

void map_guard_open_begin(void)
{
	pthread_mutex_lock(&lock);
	install();
	pthread_mutex_unlock(&lock);
	opening_hit = 0;
	opening = 1;
}

bool map_guard_open_end(void)
{
	opening = 0;
	return opening_hit;
}
