/*
 * "PROGRAM NAME MS HOW SPINS": traps, whose handler runs on another stack for SPINS times 100 us.
 * HOW is "even", or "random": then one of two functions with equal frames is interrupted at random,
 * and the handler's function says which one.
 */
#include "kinds.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static volatile int is_odd;
static int spins;

KIND_FRAME void leaf_even(void)
{
	kind_spin();
}

KIND_FRAME void leaf_odd(void)
{
	kind_spin();
}

static void handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	for (int i = 0; i < spins; i++) {
		if (is_odd)
			leaf_odd();
		else
			leaf_even();
		KIND_KEEP();
	}
	interrupted->uc_mcontext.gregs[REG_RIP] += 2;
}

KIND_FRAME void traps(void)
{
	__asm__ volatile("ud2");
	KIND_KEEP();
}

KIND_FRAME void even(void)
{
	traps();
	KIND_KEEP();
}

KIND_FRAME void odd(void)
{
	traps();
	KIND_KEEP();
}

int main(int argc, char **argv)
{
	const size_t size = 1 << 17;
	const char *how = kind_begin(argc, argv);
	if (argc != 5)
		return 2;
	spins = atoi(argv[4]);
	const stack_t alternate = {
		.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0),
		.ss_size = size,
	};
	sigaltstack(&alternate, NULL);
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	action.sa_sigaction = handler;
	sigaction(SIGILL, &action, NULL);
	unsigned random = 1;
	while (kind_more()) {
		random = random * 1664525 + 1013904223;
		is_odd = strcmp(how, "random") == 0 && random >> 31;
		if (is_odd)
			odd();
		else
			even();
	}
	return 0;
}
