/*
 * survive_constructor.cpp - a plugin whose constructor waits for a thread that uses operators new
 * and delete for the first time in the process: while the loader's lock is held.
 */
#include <cstdlib>
#include <new>
#include <pthread.h>

static void *allocate(void *)
{
	void *kept = ::operator new(700001);
	__asm__ volatile("" : "+r"(kept)); /* not to be left out with its delete */
	void *freed = ::operator new(700003, std::align_val_t(64));
	__asm__ volatile("" : "+r"(freed));
	::operator delete(freed, std::align_val_t(64));
	return kept;
}

namespace
{
struct waiting {
	waiting()
	{
		pthread_t thread;
		if (pthread_create(&thread, nullptr, allocate, nullptr) != 0 ||
		    pthread_join(thread, nullptr) != 0)
			std::abort();
	}
} at_load;
} // namespace
