/*
 * Prints where probe_function() lies in this process and waits until its standard input is closed.
 * Linked in every way a binary can be: the tests compare with what the file says.
 */
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline, used)) int probe_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

int main(void)
{
	char byte;
	printf("%p\n", (void *)probe_function);
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
