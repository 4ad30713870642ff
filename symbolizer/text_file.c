#include "text_file.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/regular_file.h"

#include <errno.h>
#include <unistd.h>

enum { READ_STEP = 64 * 1024 };

int text_file_read(const char *path, size_t max, char **out, size_t *n)
{
	CP_CLEANUP(cp_close_fd) int fd = regular_file_open(path);
	if (fd < 0)
		return fd;
	CP_CLEANUP(cp_free) char *text = NULL;
	size_t used = 0, cap = 0;
	for (;;) {
		if (used > max)
			return -EFBIG;
		char *grown = cp_array_reserve(text, &cap, used + READ_STEP + 1, 1);
		if (!grown)
			return -ENOMEM;
		text = grown;
		ssize_t got = read(fd, text + used, READ_STEP);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	*out = text;
	*n = used;
	text = NULL;
	return 0;
}

bool text_file_hex(char **text, uint64_t *out)
{
	uint64_t value = 0;
	char *at = *text;
	for (;; at++) {
		unsigned int digit;
		if (*at >= '0' && *at <= '9')
			digit = (unsigned int)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			digit = (unsigned int)(*at - 'a') + 10;
		else if (*at >= 'A' && *at <= 'F')
			digit = (unsigned int)(*at - 'A') + 10;
		else
			break;
		value = value << 4 | digit;
	}
	if (at == *text || at - *text > 16)
		return false;
	*text = at;
	*out = value;
	return true;
}
