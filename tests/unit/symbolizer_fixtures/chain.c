/*
 * Two calls inlined into a function, with a label (a symbol of the binary) at the innermost
 * place, so that a test knows an address there without asking a symbolizer. The MARK comments
 * name the lines that belong to the chain at that label.
 */
int chain_sink;

static inline __attribute__((always_inline)) void innermost(int x)
{
	__asm__ volatile("at_innermost: nop"); /* MARK(innermost) */
	chain_sink += x;
}

static inline __attribute__((always_inline)) void middle(int x)
{
	chain_sink ^= x;
	innermost(x + 1); /* MARK(middle) */
}

__attribute__((noinline)) void outer(int x)
{
	chain_sink -= x;
	middle(x * 2);                     /* MARK(outer) */
	__asm__ volatile("at_outer: nop"); /* MARK(after) */
}

void last(void)
{
	outer(3);
	__asm__ volatile("at_last: nop"); /* MARK(last) */
}
