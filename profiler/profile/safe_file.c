#include "safe_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int safe_file_write(int fd, const void *bytes, size_t n, size_t *done)
{
	size_t written = 0;
	int rc = 0;
	while (written < n && !rc) {
		ssize_t now = write(fd, (const char *)bytes + written, n - written);
		if (now > 0)
			written += (size_t)now;
		else if (now == 0)
			rc = -ENOSPC; /* write(2) does not say what 0 means; never loop on it */
		else if (errno != EINTR)
			rc = -errno;
	}
	if (done)
		*done = written;
	return rc;
}

int safe_file_is_special(const char *path, bool *special, bool *exists, struct cp_err *err)
{
	struct stat st;
	if (stat(path, &st)) {
		/* a link to nowhere is as good as nothing there; open() will say the rest */
		if (errno != ENOENT)
			return cp_fail(err, -errno, "cannot write %s: %s", path, strerror(errno));
		*special = *exists = false;
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return cp_fail(err, -EISDIR, "cannot write %s: it is a directory", path);
	*special = !S_ISREG(st.st_mode);
	*exists = true;
	return 0;
}

/* Open a new file beside file->path under a name nobody can foresee. */
static int open_temporary(struct safe_file *file, struct cp_err *err)
{
	for (int attempt = 0; attempt < 16; attempt++) {
		uint64_t random;
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return cp_fail(err, -errno, "no random numbers: %s", strerror(errno));
		if (asprintf(&file->temporary, "%s.%016" PRIx64, file->path, random) < 0) {
			file->temporary = NULL;
			return cp_fail_nomem(err);
		}
		file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (file->fd >= 0)
			return 0;
		int saved = errno;
		free(file->temporary);
		file->temporary = NULL;
		if (saved != EEXIST)
			return cp_fail(err, -saved,
				       "cannot create a file beside %s: %s; the profile is "
				       "written there first and renamed when complete",
				       file->path, strerror(saved));
	}
	return cp_fail(err, -EEXIST, "no free name for a temporary file beside %s", file->path);
}

int safe_file_begin(struct safe_file *file, const char *path, struct cp_err *err)
{
	*file = (struct safe_file){.fd = -1};
	/* through a symbolic link, what it points to is replaced, not the link */
	file->path = realpath(path, NULL);
	if (!file->path)
		file->path = strdup(path);
	if (!file->path)
		return cp_fail_nomem(err);
	int rc = open_temporary(file, err);
	if (rc) {
		safe_file_deinit(file);
		return rc;
	}
	struct stat st;
	if (stat(file->path, &st) == 0) {
		/* the owner first: chown clears set-id bits and is refused to most */
		if (fchown(file->fd, st.st_uid, st.st_gid) && errno != EPERM)
			rc = -errno;
		if (!rc && fchmod(file->fd, st.st_mode & 07777))
			rc = -errno;
		if (rc) {
			cp_fail(err, rc, "cannot give %s the owner and mode of %s: %s",
				file->temporary, file->path, strerror(-rc));
			safe_file_deinit(file);
		}
	}
	return rc;
}

/* A rename is on the disk when its directory is. */
static int sync_directory(const char *path)
{
	CP_CLEANUP(cp_free) char *directory = strdup(path);
	if (!directory)
		return -ENOMEM;
	char *slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = '\0';
	CP_CLEANUP(cp_close_fd)
	int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* a directory may be writable and searchable but not readable; some cannot be synced */
	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		return errno == EACCES ? 0 : -errno;
	return 0;
}

int safe_file_commit(struct safe_file *file, struct cp_err *err)
{
	if (fsync(file->fd))
		return cp_fail(err, -errno, "cannot write %s: %s", file->temporary,
			       strerror(errno));
	if (rename(file->temporary, file->path))
		return cp_fail(err, -errno, "cannot rename %s to %s: %s", file->temporary,
			       file->path, strerror(errno));
	free(file->temporary);
	file->temporary = NULL;
	int rc = sync_directory(file->path);
	if (rc)
		return cp_fail(err, rc, "cannot sync the directory of %s: %s", file->path,
			       strerror(-rc));
	return 0;
}

void safe_file_deinit(struct safe_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->path);
	*file = (struct safe_file){.fd = -1};
}
