/*
 * Binaries that are not where their name says: "PROGRAM NAME MS reload A.so B.so" loads one library
 * after the other, which takes the place of the first; "memfd A.so" loads it from a memfd;
 * "exec PROGRAM" executes it from one.
 */
#include "kinds.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *must(void *pointer)
{
	if (!pointer)
		exit(3);
	return pointer;
}

static void *load(const char *path, void (**enter)(void))
{
	void *const library = must(dlopen(path, RTLD_NOW));
	*(void **)enter = must(dlsym(library, "library_enter"));
	return library;
}

KIND_FRAME void kind_run(void (*enter)(void))
{
	enter();
	KIND_KEEP();
}

KIND_FRAME void kind_reload(char **paths)
{
	void (*enter)(void), (*first)(void) = NULL;
	for (int i = 0; kind_more(); i++) {
		void *const library = load(paths[i % 2], &enter);
		if (!first)
			first = enter;
		if (first != enter) /* the point is that it takes the same place */
			exit(4);
		for (int turn = 0; turn < 100; turn++)
			kind_run(enter);
		dlclose(library);
	}
}

static int copy_to_memfd(const char *path)
{
	char bytes[4096];
	const int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("kind", MFD_CLOEXEC);
	ssize_t n;
	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, (size_t)n) != n)
			exit(5);
	close(from);
	return to;
}

int main(int argc, char **argv)
{
	char path[64];
	void (*enter)(void);
	const char *mode = kind_begin(argc, argv);
	if (strcmp(mode, "reload") == 0)
		kind_reload(argv + 4);
	if (strcmp(mode, "exec") == 0) {
		char *const arguments[] = {argv[1], argv[1], argv[2], NULL};
		fexecve(copy_to_memfd(argv[4]), arguments, environ);
		return 6;
	}
	if (strcmp(mode, "memfd") == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", copy_to_memfd(argv[4]));
		load(path, &enter);
		while (kind_more())
			kind_run(enter);
	}
	return 0;
}
