/* Compiled with frame pointers. */
#include "frames.h"

#include <alloca.h>

__attribute__((noinline)) void frames_alloca(size_t n, frames_callback *callback)
{
	volatile char *bytes = alloca(n);
	bytes[n - 1] = 1;
	callback();
	bytes[0] = bytes[n - 1];
}

__attribute__((noinline)) void frames_alloca_twice(size_t n, frames_callback *callback)
{
	volatile char *bytes = alloca(n);
	bytes[n - 1] = 1;
	frames_alloca(n, callback);
	bytes[0] = bytes[n - 1];
}
