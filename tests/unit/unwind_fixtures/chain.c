/* Compiled several times, CHAIN being the name of the entry. */
#include "frames.h"

#include <alloca.h>
#include <stdarg.h>
#include <string.h>

#define CHAIN_LINK __attribute__((noinline)) static
#define HERE() frames_record(__builtin_return_address(0))
/* No tail call: the frame has to be there. */
#define KEEP() __asm__ volatile("" ::: "memory")

static void next_link(int depth, frames_callback *callback);

CHAIN_LINK void link_alloca(int depth, frames_callback *callback)
{
	HERE();
	volatile char *bytes = alloca((size_t)(depth % 7) * 24 + 8);
	bytes[0] = (char)depth;
	next_link(depth - 1, callback);
	KEEP();
	bytes[1] = bytes[0];
}

CHAIN_LINK void link_realigned(int depth, frames_callback *callback)
{
	HERE();
	_Alignas(128) volatile char bytes[128];
	bytes[depth % 128] = 1;
	next_link(depth - 1, callback);
	KEEP();
	bytes[0] = bytes[1];
}

/* Many values that live over the call: all callee-saved registers. */
CHAIN_LINK int link_saved(int depth, frames_callback *callback, int a, int b, int c)
{
	HERE();
	int d = a * b, e = b * c, f = c * a;
	next_link(depth - 1, callback);
	KEEP();
	return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6;
}

CHAIN_LINK int link_variadic(int depth, frames_callback *callback, ...)
{
	HERE();
	va_list args;
	va_start(args, callback);
	next_link(depth - 1, callback);
	const int sum = va_arg(args, int) + (int)va_arg(args, double);
	va_end(args);
	KEEP();
	return sum;
}

struct large {
	char bytes[200];
};

/* Arguments on the stack. */
CHAIN_LINK int link_large(int depth, frames_callback *callback, struct large large)
{
	HERE();
	next_link(depth - 1, callback);
	KEEP();
	return large.bytes[depth % 200];
}

CHAIN_LINK void next_link(int depth, frames_callback *callback)
{
	HERE();
	struct large large;
	volatile int sink;
	if (depth <= 0) {
		callback();
		KEEP();
		return;
	}
	switch (depth % 5) {
	case 0:
		link_alloca(depth, callback);
		break;
	case 1:
		link_realigned(depth, callback);
		break;
	case 2:
		sink = link_saved(depth, callback, depth, depth + 1, depth + 2);
		break;
	case 3:
		sink = link_variadic(depth, callback, depth, 1.5);
		break;
	default:
		memset(&large, depth, sizeof(large));
		sink = link_large(depth, callback, large);
	}
	KEEP();
	(void)sink;
}

void CHAIN(int depth, frames_callback *callback)
{
	HERE();
	next_link(depth, callback);
	KEEP();
}
