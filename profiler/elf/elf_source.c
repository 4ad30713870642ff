#include "elf_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int elf_source_of_fd(int fd, const char *name, struct cp_err *err, struct elf_source *out)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return cp_fail(err, -errno, "%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cp_fail(err, -ENOEXEC, "%s: not a regular file", name);
	*out = (struct elf_source){
		.fd = fd, .size = (uint64_t)st.st_size, .name = name, .err = err};
	return 0;
}

int elf_source_read(const struct elf_source *source, uint64_t file_off, void *out, size_t size)
{
	if (source->fd < 0) {
		memcpy(out, source->bytes + file_off, size);
		return 0;
	}
	size_t done = 0;
	while (done < size) {
		const ssize_t got = pread(source->fd, (uint8_t *)out + done, size - done,
					  (off_t)(file_off + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cp_fail(source->err, -errno, "%s: cannot read: %s", source->name,
				       strerror(errno));
		if (got == 0)
			return cp_fail(source->err, -EBADMSG, "%s: truncated while it was read",
				       source->name);
		done += (size_t)got;
	}
	return 0;
}

int elf_source_read_new(const struct elf_source *source, uint64_t file_off, size_t size,
			uint8_t **out)
{
	uint8_t *bytes = malloc(size + 1);
	if (!bytes)
		return cp_fail_nomem(source->err);
	const int ret = elf_source_read(source, file_off, bytes, size);
	if (ret) {
		free(bytes);
		return ret;
	}
	*out = bytes;
	return 0;
}
