/* Four functions of C, for what a compiler and a linker can be told to make of them. */
#include "kinds.h"

/* A segment of its own. */
#ifdef KIND_SECTION
__attribute__((section(KIND_SECTION)))
#endif
KIND_FRAME void
kind_leaf(void)
{
	kind_spin();
}

KIND_FRAME int kind_middle(int n)
{
	volatile char bytes[200];
	bytes[n & 127] = 1;
	kind_leaf();
	KIND_KEEP();
	return bytes[1];
}

KIND_FRAME int kind_outer(int n)
{
	const int a = kind_middle(n), b = kind_middle(n + 1);
	KIND_KEEP();
	return a + b;
}

int main(int argc, char **argv)
{
	kind_begin(argc, argv);
	while (kind_more())
		kind_outer(argc);
	return 0;
}
