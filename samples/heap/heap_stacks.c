/*
 * heap_stacks: the same line below stacks that are hard to walk, or many.
 *
 *	deep       below 400 calls of one function, and above the limit of 512 frames
 *	many       100,000 distinct stacks (N = how many)
 *	alloca     frames of changing size
 *	inlined    in a function that has no frame of its own
 *	coroutine  on stacks of makecontext(), switched in turn
 *	handler    in a signal handler, on the program's stack and on sigaltstack()
 */
#include "heap_truth.h"

#include <alloca.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static HEAP_NOINLINE void deep_leaf(void)
{
	HEAP_AT(malloc(321), 321);
}

/* Not a tail call, nor one that a compiler could unroll. */
static HEAP_NOINLINE int deep_down(volatile int depth)
{
	if (depth <= 0) {
		deep_leaf();
		return 1;
	}
	return deep_down(depth - 1) + depth;
}

static int run_deep(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < 10; i++)
		deep_down(400);
	deep_down(2000);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE int many_left(unsigned path, int depth);

static HEAP_NOINLINE int many_right(unsigned path, int depth)
{
	if (depth == 0) {
		HEAP_AT(malloc(24), 24);
		return 0;
	}
	return (path & 1 ? many_right(path >> 1, depth - 1) : many_left(path >> 1, depth - 1)) + 1;
}

static HEAP_NOINLINE int many_left(unsigned path, int depth)
{
	if (depth == 0) {
		HEAP_AT(malloc(16), 16);
		return 0;
	}
	return (path & 1 ? many_right(path >> 1, depth - 1) : many_left(path >> 1, depth - 1)) + 1;
}

/* The bits of a number are the way down: each number is a stack of its own. */
static int run_many(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
	for (unsigned path = 0; path < n; path++)
		many_left(path, 17);
	heap_truth_fact("stacks", n);
	heap_truth_end();
	return 0;
}

static HEAP_NOINLINE int alloca_frames(int depth)
{
	volatile char *space = alloca((size_t)(depth % 7) * 40 + 1);
	space[0] = (char)depth;
	if (depth == 0) {
		HEAP_AT(malloc(90), 90);
		return space[0];
	}
	return alloca_frames(depth - 1) + space[0];
}

static int run_alloca(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int depth = 0; depth < 50; depth++)
		alloca_frames(depth);
	heap_truth_end();
	return 0;
}

static HEAP_INLINE void inlined_inner(size_t size)
{
	HEAP_AT(malloc(size), size);
}

static HEAP_INLINE void inlined_outer(size_t size)
{
	inlined_inner(size);
	inlined_inner(size + 1);
}

static HEAP_NOINLINE void inlined_user(void)
{
	for (size_t i = 0; i < 9; i++)
		inlined_outer(i * 16);
}

static int run_inlined(int argc, char **argv)
{
	(void)argc, (void)argv;
	inlined_user();
	heap_truth_end();
	return 0;
}

enum { COROUTINES = 8, TURNS = 20, STACK_BYTES = 64 << 10 };

static ucontext_t scheduler, contexts[COROUTINES];

static HEAP_NOINLINE void coroutine_step(int id)
{
	heap_free(HEAP_AT(malloc(40), 40));
	HEAP_AT(malloc(100 + (size_t)id), 100 + (size_t)id);
}

static void coroutine(int id)
{
	for (int turn = 0; turn < TURNS; turn++) {
		coroutine_step(id);
		swapcontext(&contexts[id], &scheduler);
	}
}

/* Every other stack is on the heap, which is memory like any other. */
static HEAP_NOINLINE void *coroutine_stack(int id)
{
	if (id % 2)
		return HEAP_AT(malloc(STACK_BYTES), STACK_BYTES);
	return mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int run_coroutine(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (int id = 0; id < COROUTINES; id++) {
		getcontext(&contexts[id]);
		contexts[id].uc_stack.ss_sp = coroutine_stack(id);
		contexts[id].uc_stack.ss_size = STACK_BYTES;
		contexts[id].uc_link = &scheduler;
		makecontext(&contexts[id], (void (*)(void))coroutine, 1, id);
	}
	for (int turn = 0; turn < TURNS; turn++)
		for (int id = 0; id < COROUTINES; id++)
			swapcontext(&scheduler, &contexts[id]);
	heap_truth_end();
	return 0;
}

/* raise() is no call of malloc: nothing of libc's is interrupted, and this is allowed. */
static void on_signal(int number)
{
	(void)number;
	HEAP_AT(malloc(60), 60);
}

static HEAP_NOINLINE void handler_raise(void)
{
	for (int i = 0; i < 25; i++)
		raise(SIGUSR1);
}

static int run_handler(int argc, char **argv)
{
	static char space[1 << 16];
	const stack_t other = {.ss_sp = space, .ss_size = sizeof(space)};
	struct sigaction action = {.sa_handler = on_signal};
	(void)argc, (void)argv;
	sigaction(SIGUSR1, &action, NULL);
	handler_raise();
	sigaltstack(&other, NULL);
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &action, NULL);
	handler_raise();
	heap_truth_end();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct heap_mode modes[] = {
		{"deep", run_deep},       {"many", run_many},           {"alloca", run_alloca},
		{"inlined", run_inlined}, {"coroutine", run_coroutine}, {"handler", run_handler},
	};
	return heap_truth_main(modes, sizeof(modes) / sizeof(modes[0]), argc, argv);
}
