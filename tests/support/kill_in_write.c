/*
 * kill_in_write.c - an LD_PRELOAD library that kills a process in the middle of writing a file.
 *
 * Counts write(), pwrite() and writev() to files whose name ends in the text of
 * KILL_IN_WRITE_SUFFIX. The one with the number KILL_IN_WRITE_NTH (from 1) writes only
 * KILL_IN_WRITE_PERMILLE of its bytes, and then the process gets SIGKILL, which no handler sees:
 * the file is what a kernel leaves when the kill falls into the write.
 */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset);

static long counted;

static bool concerns(int fd)
{
	const char *suffix = getenv("KILL_IN_WRITE_SUFFIX");
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (!suffix)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < (ssize_t)strlen(suffix))
		return false;
	path[n] = '\0';
	return !strcmp(path + n - strlen(suffix), suffix);
}

static long number_of(const char *name, long missing)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : missing;
}

/* Return: true when this is the write to die in. */
static bool is_due(int fd)
{
	return concerns(fd) && ++counted == number_of("KILL_IN_WRITE_NTH", 0);
}

static size_t part_of(size_t n)
{
	return n * (size_t)number_of("KILL_IN_WRITE_PERMILLE", 500) / 1000;
}

/* dlsym() gives the address of data; POSIX says that it may hold a function's. */
static void next(const char *name, void *out)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(out, &symbol, sizeof(symbol));
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	ssize_t (*real)(int, const void *, size_t);

	next("write", &real);
	if (is_due(fd)) {
		if (real(fd, bytes, part_of(n)) >= 0)
			kill(getpid(), SIGKILL);
	}
	return real(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	ssize_t (*real)(int, const void *, size_t, off_t);

	next("pwrite", &real);
	if (is_due(fd)) {
		if (real(fd, bytes, part_of(n), offset) >= 0)
			kill(getpid(), SIGKILL);
	}
	return real(fd, bytes, n, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
	return pwrite(fd, bytes, n, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
	ssize_t (*real)(int, const struct iovec *, int);

	next("writev", &real);
	if (n > 0 && is_due(fd)) {
		struct iovec half = {parts[0].iov_base, part_of(parts[0].iov_len)};

		if (real(fd, &half, 1) >= 0)
			kill(getpid(), SIGKILL);
	}
	return real(fd, parts, n);
}
