#include "byte_source.h"

#include "base/array.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe must be kept in memory to be read twice. */
static const size_t pipe_max_bytes = (size_t)4 << 30;

static int read_all(struct byte_source *source, int fd)
{
	size_t n = 0, cap = 0;
	for (;;) {
		uint8_t *grown = cp_array_reserve(source->owned, &cap, n + 64 * 1024, 1);
		if (!grown)
			return -ENOMEM;
		source->owned = grown;
		ssize_t now = read(fd, grown + n, cap - n);
		if (now == 0)
			break;
		if (now < 0 && errno != EINTR)
			return -errno;
		n += now > 0 ? (size_t)now : 0;
		if (n > pipe_max_bytes)
			return -E2BIG;
	}
	source->bytes = source->owned;
	source->size_bytes = n;
	return 0;
}

int byte_source_open(struct byte_source *source, const char *path, struct cp_err *err)
{
	*source = (struct byte_source){.fd = -1};
	int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					: open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int rc = 0;
	if (fd < 0 || fstat(fd, &st)) {
		rc = -errno;
	} else if (S_ISDIR(st.st_mode)) {
		rc = -EISDIR;
	} else if (S_ISREG(st.st_mode)) {
		source->fd = fd;
		source->size_bytes = (uint64_t)st.st_size;
		return 0;
	} else {
		rc = read_all(source, fd);
	}
	if (fd >= 0)
		close(fd);
	if (rc) {
		byte_source_close(source);
		return cp_fail(err, rc, "%s", strerror(-rc));
	}
	return 0;
}

void byte_source_memory(struct byte_source *source, const void *bytes, size_t n)
{
	*source = (struct byte_source){.fd = -1, .bytes = bytes, .size_bytes = n};
}

void byte_source_close(struct byte_source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	free(source->owned);
	*source = (struct byte_source){.fd = -1};
}

ptrdiff_t byte_source_read(const struct byte_source *source, uint64_t off, void *out, size_t n)
{
	if (off >= source->size_bytes)
		return 0;
	if (n > source->size_bytes - off)
		n = (size_t)(source->size_bytes - off);
	if (source->fd < 0) {
		memcpy(out, source->bytes + off, n);
		return (ptrdiff_t)n;
	}
	size_t done = 0;
	while (done < n) {
		ssize_t now = pread(source->fd, (char *)out + done, n - done, (off_t)(off + done));
		if (now == 0)
			break;
		if (now < 0 && errno != EINTR)
			return -errno;
		done += now > 0 ? (size_t)now : 0;
	}
	return (ptrdiff_t)done;
}
