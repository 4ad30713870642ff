#include "heap_move.h"

#include "base/cleanup.h"
#include "heap_pack.h"
#include "heap_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static int write_packed(const struct heap_file *source, const char *to)
{
	struct heap_snapshot *snapshot;
	struct heap_target target;
	struct stat st;
	int rc = heap_file_read(source, &snapshot, &target, NULL);
	if (rc)
		return rc;
	CP_CLEANUP(cp_close_fd)
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : heap_pack(snapshot, fd);
	heap_snapshot_destroy(snapshot);
	if (!rc && fstat(source->fd, &st) == 0) {
		const struct timespec times[2] = {st.st_atim, st.st_mtim};
		futimens(fd, times);
	}
	return rc;
}

static int pack(const char *from, const char *to)
{
	struct heap_file source;
	char temporary[PATH_MAX];
	if (snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", to, (long)getpid()) >=
	    (int)sizeof(temporary))
		return -ENAMETOOLONG;
	int rc = heap_file_open(from, &source, NULL);
	if (rc)
		return rc;
	rc = write_packed(&source, temporary);
	heap_file_close(&source);
	if (!rc && rename(temporary, to) != 0)
		rc = -errno;
	if (rc && rc != -EEXIST)
		unlink(temporary);
	return rc;
}

int heap_move(const char *from, const char *to, struct cp_err *err)
{
	const int rc = pack(from, to);
	if (rc == 0) {
		unlink(from);
		return 0;
	}
	if (rc != -ENOENT && rename(from, to) == 0)
		return 0;
	return cp_fail(err, rc, "cannot move %s to %s: %s", from, to,
		       rc == -EBADMSG ? "it is damaged" : strerror(-rc));
}
