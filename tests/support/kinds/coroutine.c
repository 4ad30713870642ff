/*
 * A coroutine library that switches stacks in assembly of its own. Its first frame returns to an
 * address that is none: nothing says that this is the root.
 */
#include "kinds.h"

#include <stdint.h>

void coroutine_switch(void **from, void *to);
__asm__(".text\n.globl coroutine_switch\n.type coroutine_switch, @function\n"
	"coroutine_switch:\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n"
	"ret\n.size coroutine_switch, . - coroutine_switch\n");

static void *main_sp, *coroutine_sp;

KIND_FRAME void kind_leaf(void)
{
	kind_spin();
}

void kind_body(void)
{
	for (;;) {
		kind_leaf();
		coroutine_switch(&coroutine_sp, main_sp);
	}
}

int main(int argc, char **argv)
{
	kind_begin(argc, argv);
	enum { WORDS = 8192 };
	uint64_t *const stack = calloc(WORDS, sizeof(*stack));
	stack[WORDS - 16] = 0xdeaddeaddeaddead; /* what the body would return to */
	stack[WORDS - 17] = (uint64_t)(uintptr_t)kind_body;
	coroutine_sp = &stack[WORDS - 17 - 6];
	while (kind_more())
		coroutine_switch(&main_sp, coroutine_sp);
	return 0;
}
