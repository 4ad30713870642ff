#include "live_file.h"

#include "base/cleanup.h"
#include "base/regular_file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether the kernel means @path: "PATH" or "PATH (deleted)". */
static bool names(const char *text, const char *path)
{
	const size_t n = strlen(path);
	return strncmp(text, path, n) == 0 &&
	       (text[n] == '\0' || strcmp(text + n, " (deleted)") == 0);
}

static int open_executable(pid_t pid, const char *path)
{
	char link[64], target[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/%ld/exe", (long)pid);
	const ssize_t n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	return names(target, path) ? regular_file_open(link) : -ENOENT;
}

int live_file_open(pid_t pid, const char *path)
{
	char maps[64], line[PATH_MAX + 128], link[128];
	unsigned long long start, end;
	int at;
	snprintf(maps, sizeof(maps), "/proc/%ld/maps", (long)pid);
	CP_CLEANUP(cp_close_file) FILE *file = fopen(maps, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		at = 0;
		if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &at) < 2 ||
		    at == 0 || !names(line + at, path))
			continue;
		snprintf(link, sizeof(link), "/proc/%ld/map_files/%llx-%llx", (long)pid, start,
			 end);
		const int fd = regular_file_open(link);
		if (fd >= 0)
			return fd;
		break; /* not permitted: then the others are not either */
	}
	return open_executable(pid, path);
}
