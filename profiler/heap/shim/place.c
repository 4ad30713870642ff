#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MAX_NUMBER = 1000, ROOM_BYTES = 32 << 20 };

/* Text of bounded length: no stdio, which allocates, in a forked child. */
struct text {
	char *at;
	size_t n, max;
};

static void put(struct text *text, const char *from, size_t n)
{
	for (size_t i = 0; i < n && text->n + 1 < text->max; i++)
		text->at[text->n++] = from[i];
	text->at[text->n] = '\0';
}

static void put_string(struct text *text, const char *from)
{
	put(text, from, strlen(from));
}

static void put_number(struct text *text, unsigned long number)
{
	unsigned long power = 1;
	while (number / power >= 10)
		power *= 10;
	for (; power; power /= 10) {
		const char digit[1] = {(char)('0' + number / power % 10)};
		put(text, digit, 1);
	}
}

static void put_pattern(struct text *text, const char *pattern)
{
	for (; *pattern; pattern++) {
		if (pattern[0] == '%' && pattern[1] == 'p') {
			put_number(text, (unsigned long)getpid());
			pattern++;
		} else if (pattern[0] == '%' && pattern[1] == '%') {
			put(text, pattern++, 1);
		} else {
			put(text, pattern, 1);
		}
	}
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* @folder/EXE.PID */
static void put_default(struct text *text, const char *folder, const char *exe)
{
	put_string(text, folder);
	put_string(text, "/");
	put_string(text, *base_name(exe) ? base_name(exe) : "unknown");
	put_string(text, ".");
	put_number(text, (unsigned long)getpid());
}

static bool open_numbered(struct place *place, const char *stem, const char *suffix)
{
	for (unsigned long number = 1; number < MAX_NUMBER; number++) {
		struct text text = {.at = place->path, .max = sizeof(place->path)};
		put_string(&text, stem);
		if (number > 1) {
			put_string(&text, ".");
			put_number(&text, number);
		}
		put_string(&text, suffix);
		if (text.n + 1 >= text.max)
			return false;
		place->fd =
			open(place->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (place->fd >= 0)
			return true;
		if (errno != EEXIST)
			return false;
	}
	return false;
}

static bool has_room(const char *folder)
{
	struct statfs fs;
	return statfs(folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
	       fs.f_bavail * (uint64_t)fs.f_bsize >= ROOM_BYTES;
}

static bool open_default(struct place *place, const char *folder, const char *exe)
{
	char stem[HEAP_PATH_BYTES] = "";
	struct text text = {.at = stem, .max = sizeof(stem)};
	put_default(&text, folder, exe);
	return open_numbered(place, stem, HEAP_FILE_SUFFIX);
}

bool place_open(struct place *place, const char *output, const char *exe, unsigned attempt)
{
	if (*output) {
		char stem[HEAP_PATH_BYTES] = "";
		struct text text = {.at = stem, .max = sizeof(stem)};
		put_pattern(&text, output);
		return attempt == 0 && open_numbered(place, stem, "");
	}
	if (attempt == 0 && has_room("/dev/shm") && open_default(place, "/dev/shm", exe))
		return true;
	return attempt <= 1 && open_default(place, ".", exe);
}
