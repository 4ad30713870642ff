/* Calls what bare.S has: "PROGRAM NAME MS FUNCTION". */
#include "kinds.h"

#include <string.h>

void asm_cfi(int turns), asm_leaf(int turns), asm_frame(int turns), asm_tail(int turns);
void asm_pushes(int turns), asm_jumps(void);
void (*volatile kind_pointer)(int turns);

KIND_FRAME void kind_leaf(void)
{
	kind_spin();
}

KIND_FRAME void kind_middle(const char *mode)
{
	const int turns = 40000;
	if (strcmp(mode, "cfi") == 0)
		asm_cfi(turns);
	else if (strcmp(mode, "leaf") == 0)
		asm_leaf(turns);
	else if (strcmp(mode, "pointer") == 0)
		kind_pointer(turns);
	else if (strcmp(mode, "frame") == 0)
		asm_frame(turns);
	else if (strcmp(mode, "tail") == 0)
		asm_tail(turns);
	else if (strcmp(mode, "pushes") == 0)
		asm_pushes(turns);
	else if (strcmp(mode, "jumps") == 0)
		asm_jumps();
	KIND_KEEP();
}

int main(int argc, char **argv)
{
	const char *mode = kind_begin(argc, argv);
	kind_pointer = asm_leaf;
	while (kind_more())
		kind_middle(mode);
	return 0;
}
