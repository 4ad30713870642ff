/* Calls an empty function of a library, again and again: a part of the time is the PLT's. */
#include "kinds.h"

void library_nothing(void);

KIND_FRAME void kind_caller(void)
{
	for (int i = 0; i < 20000; i++)
		library_nothing();
	KIND_KEEP();
}

int main(int argc, char **argv)
{
	kind_begin(argc, argv);
	while (kind_more())
		kind_caller();
	return 0;
}
