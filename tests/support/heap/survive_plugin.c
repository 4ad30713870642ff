/* survive_plugin.c - a plugin; built twice, with another name inside, and the same layout. */
#include <stdlib.h>

void *plugin_allocate(size_t size);

void *plugin_allocate(size_t size)
{
	void *block = malloc(size);
	__asm__ volatile("" : "+r"(block)); /* no tail call: the plugin is to be on the stack */
	return block;
}
