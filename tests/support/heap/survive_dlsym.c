/*
 * survive_dlsym.c - a program whose dlsym allocates, as old libcs' and some tools' do, before there
 * is a malloc to forward to.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *dlsym(void *restrict handle, const char *restrict name)
{
	(void)handle;
	char *copy = calloc(1, 100);
	if (!copy)
		abort();
	for (int i = 0; i < 100; i++) {
		if (copy[i])
			abort();
	}
	strcpy(copy, name);
	copy = realloc(copy, 3000);
	if (!copy || strcmp(copy, name) != 0)
		abort();
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *found = dlvsym(libc, copy, "GLIBC_2.2.5");
	if (!found)
		found = dlvsym(libc, copy, "GLIBC_2.16");
	if (!found)
		found = dlvsym(libc, copy, "GLIBC_2.26");
	if (!found)
		found = dlvsym(libc, copy, "GLIBC_2.34");
	free(copy);
	return found;
}

int main(void)
{
	char *volatile block = malloc(700001);
	return block ? 0 : 1;
}
