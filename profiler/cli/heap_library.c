#include "heap_library.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool try_library(char out[PATH_MAX], const char *folder, const char *below)
{
	snprintf(out, PATH_MAX, "%.*s%s/libcprof_heap.so", PATH_MAX - 128, folder, below);
	return access(out, R_OK) == 0;
}

int heap_library_find(char out[PATH_MAX], struct cp_err *err)
{
	static const char *const places[] = {"", "/../lib", "/../lib/x86_64-linux-gnu", "/../lib64",
					     "/../heap/shim"};
	const char *given = secure_getenv("CPROF_HEAP_LIBRARY");
	char folder[PATH_MAX], found[PATH_MAX];
	bool ok = false;
	if (given && given[0]) {
		snprintf(found, sizeof(found), "%s", given);
		ok = true;
	} else {
		const ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
		folder[n > 0 ? n : 0] = '\0';
		char *slash = strrchr(folder, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !ok; i++)
			ok = try_library(found, folder, places[i]);
		ok = ok || try_library(found, CPROF_LIBDIR, "");
	}
	if (!ok || !realpath(found, out))
		return cp_fail(err, -ENOENT,
			       "libcprof_heap.so was not found%s%s: set CPROF_HEAP_LIBRARY to its "
			       "path",
			       given ? " at " : "", given ? given : "");
	/* the loader splits the list there, and knows no way to quote */
	if (strpbrk(out, ": "))
		return cp_fail(err, -EINVAL,
			       "%s: the loader takes no library with a space or a colon in its "
			       "path; set CPROF_HEAP_LIBRARY to a copy elsewhere",
			       out);
	return 0;
}
