#include "regular_file.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int regular_file_open(const char *path)
{
	/* O_PATH names the file without opening it, and goes on naming the same one (open(2)) */
	CP_CLEANUP(cp_close_fd) int named = open(path, O_PATH | O_CLOEXEC);
	struct stat st;
	if (named < 0 || fstat(named, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", named);
	const int fd = open(link, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
