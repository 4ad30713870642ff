#include "base/cleanup.h"
#include "pprof_encode.h"
#include "pprof_file.h"
#include "safe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int sink_fd(void *ctx, const void *bytes, size_t n)
{
	return safe_file_write(*(const int *)ctx, bytes, n, NULL);
}

/* To what cannot be replaced: standard output, a device, a pipe. */
static int save_directly(const struct profile *profile, int fd, const char *name,
			 struct cp_err *err)
{
	int rc = pprof_encode_all(profile, sink_fd, &fd);
	if (rc)
		return cp_fail(err, rc, "cannot write the profile to %s: %s", name, strerror(-rc));
	return 0;
}

static int save_to_special(const struct profile *profile, const char *path, struct cp_err *err)
{
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cp_fail(err, -errno, "cannot open %s: %s", path, strerror(errno));
	return save_directly(profile, fd, path, err);
}

int pprof_save(const struct profile *profile, const char *path, struct cp_err *err)
{
	if (strcmp(path, "-") == 0)
		return save_directly(profile, STDOUT_FILENO, "standard output", err);
	bool special, exists;
	int rc = safe_file_is_special(path, &special, &exists, err);
	if (rc)
		return rc;
	if (special)
		return save_to_special(profile, path, err);
	struct safe_file file;
	rc = safe_file_begin(&file, path, err);
	if (rc)
		return rc;
	rc = pprof_encode_all(profile, sink_fd, &file.fd);
	if (rc)
		cp_fail(err, rc, "cannot write the profile to %s: %s%s", path, strerror(-rc),
			exists ? "; the existing file is unchanged" : "");
	else
		rc = safe_file_commit(&file, err);
	safe_file_deinit(&file);
	return rc;
}
