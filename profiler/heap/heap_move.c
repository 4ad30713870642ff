#include "heap_move.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

enum { COPY_BYTES = 1 << 20 };

static int write_all(int fd, const uint8_t *bytes, size_t n, off_t at)
{
	while (n > 0) {
		const ssize_t put = pwrite(fd, bytes, n, at);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		bytes += put;
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

static int copy_range(int from, int to, off_t start, off_t end, uint8_t *buffer)
{
	while (start < end) {
		const size_t want = end - start < COPY_BYTES ? (size_t)(end - start) : COPY_BYTES;
		const ssize_t got = pread(from, buffer, want, start);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		const int rc = write_all(to, buffer, (size_t)got, start);
		if (rc)
			return rc;
		start += got;
	}
	return 0;
}

/* Only what is there. A file system that knows no holes says that all of it is. */
static int copy_data(int from, int to, off_t size)
{
	CP_CLEANUP(cp_free) uint8_t *buffer = malloc(COPY_BYTES);
	if (!buffer)
		return -ENOMEM;
	if (ftruncate(to, size) != 0)
		return -errno;
	for (off_t at = 0; at < size;) {
		const off_t data = lseek(from, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		off_t hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		const int rc = copy_range(from, to, data, hole, buffer);
		if (rc)
			return rc;
		at = hole;
	}
	return 0;
}

static int copy(const char *from, const char *to)
{
	struct stat st;
	CP_CLEANUP(cp_close_fd) int source = open(from, O_RDONLY | O_CLOEXEC);
	if (source < 0 || fstat(source, &st) != 0)
		return -errno;
	CP_CLEANUP(cp_close_fd)
	int target = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (target < 0)
		return -errno;
	const int rc = copy_data(source, target, st.st_size);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	futimens(target, times);
	return rc;
}

int heap_move(const char *from, const char *to, struct cp_err *err)
{
	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV)
		return cp_fail(err, -errno, "cannot move %s to %s: %s", from, to, strerror(errno));
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", to, (long)getpid()) >=
	    (int)sizeof(temporary))
		return cp_fail(err, -ENAMETOOLONG, "cannot move %s to %s: the name is too long",
			       from, to);
	int rc = copy(from, temporary);
	if (!rc && rename(temporary, to) != 0)
		rc = -errno;
	if (rc) {
		unlink(temporary);
		return cp_fail(err, rc, "cannot move %s to %s: %s", from, to, strerror(-rc));
	}
	unlink(from);
	return 0;
}
