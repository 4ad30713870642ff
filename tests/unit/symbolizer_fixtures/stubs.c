/* Calls into another library go through PLT stubs; nothing here has debug information. */
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) int exported(const char *text)
{
	char *copy = strdup(text);
	size_t n = copy ? strlen(copy) : 0;
	free(copy);
	return (int)n;
}

static __attribute__((noinline)) int internal(int x)
{
	return exported("a") * x;
}

int main(int argc, char **argv)
{
	(void)argv;
	return internal(argc);
}
