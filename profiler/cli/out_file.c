#include "out_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int out_file_open(struct out_file *out, const char *path, struct cp_err *err)
{
	*out = (struct out_file){.path = path && strcmp(path, "-") != 0 ? path : NULL};
	out->stream = open_memstream(&out->bytes, &out->n);
	return out->stream ? 0 : cp_fail_nomem(err);
}

void out_file_close(struct out_file *out)
{
	cp_close_file(&out->stream);
	out->stream = NULL;
	free(out->bytes);
	out->bytes = NULL;
}

bool out_file_is_special(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t wrote = write(fd, bytes, n);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		bytes += wrote;
		n -= (size_t)wrote;
	}
	return 0;
}

static int write_special(const struct out_file *out, struct cp_err *err)
{
	CP_CLEANUP(cp_close_fd) int fd = open(out->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int code = fd < 0 ? -errno : write_all(fd, out->bytes, out->n);
	return code ? cp_fail(err, code, "%s: %s", out->path, strerror(-code)) : 0;
}

/* The new file has the old one's mode, or what the umask leaves of 0666. */
static mode_t wanted_mode(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return st.st_mode & 07777;
	mode_t mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

static int write_and_rename(const struct out_file *out, const char *target, struct cp_err *err)
{
	CP_CLEANUP(cp_free) char *temporary = NULL;
	if (asprintf(&temporary, "%s.XXXXXX", target) < 0) {
		temporary = NULL;
		return cp_fail_nomem(err);
	}
	CP_CLEANUP(cp_close_fd) int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return cp_fail(err, -errno, "%s: %s", target, strerror(errno));
	int code = write_all(fd, out->bytes, out->n);
	if (!code && fchmod(fd, wanted_mode(target)) != 0)
		code = -errno;
	/* some file systems (NFS, quotas) report a lack of room only at close */
	if (close(fd) != 0 && !code)
		code = -errno;
	fd = -1;
	if (!code && rename(temporary, target) != 0)
		code = -errno;
	if (code) {
		unlink(temporary);
		return cp_fail(err, code, "%s: %s", target, strerror(-code));
	}
	return 0;
}

int out_file_commit(struct out_file *out, struct cp_err *err)
{
	bool failed = ferror(out->stream) != 0;
	failed |= fclose(out->stream) != 0;
	out->stream = NULL;
	if (failed)
		return cp_fail_nomem(err);
	if (!out->path) {
		int code = write_all(STDOUT_FILENO, out->bytes, out->n);
		if (code == -EPIPE)
			return 0;
		return code ? cp_fail(err, code, "standard output: %s", strerror(-code)) : 0;
	}
	if (out_file_is_special(out->path))
		return write_special(out, err);
	/* through a symbolic link, the file that it points to is replaced, not the link */
	CP_CLEANUP(cp_free) char *resolved = realpath(out->path, NULL);
	return write_and_rename(out, resolved ? resolved : out->path, err);
}
