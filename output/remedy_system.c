/* Which package owns a file, asked from dpkg-query without a shell and with a time limit. */
#include "remedy.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define DPKG_QUERY "/usr/bin/dpkg-query"

enum {
	MAX_PATHS = 16,
	TIMEOUT_MS = 3000, /* it takes 0.1 s; a stuck disk must not hold up a report */
	MAX_OUTPUT_BYTES = 1 << 16,
};

/* A path that dpkg-query takes as a name and not as a pattern. */
static bool is_plain(const char *path)
{
	return path[0] == '/' && !strpbrk(path, "*?[]\\\n");
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read until end of file, the time limit or the size limit; NUL-terminates. */
static size_t read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;
	int64_t end_ms = now_ms() + TIMEOUT_MS;
	while (n + 1 < size) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = end_ms - now_ms();
		int polled = left > 0 ? poll(&ready, 1, (int)left) : 0;
		if (polled < 0 && errno == EINTR)
			continue;
		if (polled <= 0)
			break;
		ssize_t got = read(fd, buf + n, size - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return n;
}

/* Start a program with its standard output going to @out_fd and nothing else open. */
static int start(const char *path, char *const *argv, int out_fd, pid_t *pid)
{
	static char *const environment[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	/* a recorder's caller may have signals blocked */
	sigemptyset(&none);
	int rc = posix_spawnattr_setsigmask(&attr, &none);
	if (!rc)
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (!rc)
		rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	if (!rc)
		rc = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!rc)
		rc = posix_spawn(pid, path, &actions, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

/* Run to the end, or kill it at the time limit. Return: bytes of output. */
static size_t run(const char *path, char *const *argv, char *buf, size_t size)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return 0;
	CP_CLEANUP(cp_close_fd) int in = ends[0];
	pid_t pid = 0;
	int failed = start(path, argv, ends[1], &pid);
	close(ends[1]);
	if (failed || pid <= 0)
		return 0;
	size_t n = read_all(in, buf, size);
	/* after end of file it is gone or about to go; otherwise it is late */
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return n;
}

/* The same file under the other name that a merged /usr gives it. */
static const char *without_usr(const char *path)
{
	static const char *const merged[] = {"/usr/lib", "/usr/bin", "/usr/sbin"};
	for (size_t i = 0; i < sizeof(merged) / sizeof(merged[0]); i++) {
		if (strncmp(path, merged[i], strlen(merged[i])) == 0)
			return path + strlen("/usr");
	}
	return path;
}

/* Take "libc6:amd64, other: /lib/x" for the path it answers. */
static void take_line(char *line, const char *const *paths, size_t n, char **packages)
{
	/* "diversion by dash from: /bin/sh" names no owner */
	if (strncmp(line, "diversion ", strlen("diversion ")) == 0)
		return;
	char *colon = strstr(line, ": /");
	if (!colon)
		return;
	const char *path = colon + 2;
	size_t name = strcspn(line, ":,");
	for (size_t i = 0; i < n; i++) {
		if (!packages[i] && strcmp(without_usr(paths[i]), without_usr(path)) == 0)
			packages[i] = strndup(line, name);
	}
}

static bool find_packages(void *ctx, const char *const *paths, size_t n, char **packages)
{
	(void)ctx;
	if (access(DPKG_QUERY, X_OK))
		return false;
	char *argv[3 + 2 * MAX_PATHS + 1] = {"dpkg-query", "-S", "--"};
	size_t args = 3, owned = args;
	for (size_t i = 0; i < n && i < MAX_PATHS; i++) {
		const char *shorter = without_usr(paths[i]);
		char *longer = NULL;
		if (!is_plain(paths[i]) || asprintf(&longer, "/usr%s", shorter) < 0)
			continue;
		argv[args++] = longer;
		argv[args++] = longer + strlen("/usr");
	}
	char *output = malloc(MAX_OUTPUT_BYTES);
	if (output && args > owned && run(DPKG_QUERY, argv, output, MAX_OUTPUT_BYTES)) {
		char *rest = output, *line;
		while ((line = strsep(&rest, "\n")) != NULL)
			take_line(line, paths, n, packages);
	}
	free(output);
	for (size_t i = owned; i < args; i += 2)
		free(argv[i]);
	return true;
}

static bool file_exists(void *ctx, const char *path)
{
	(void)ctx;
	return access(path, F_OK) == 0;
}

/* The value of a key of os-release(5), quotes removed, into @buf. */
static void take_os_value(const char *line, const char *key, char *buf, size_t size)
{
	size_t n = strlen(key);
	if (strncmp(line, key, n) != 0 || line[n] != '=')
		return;
	line += n + 1;
	line += strspn(line, "\"'");
	n = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789._-");
	if (n < size) {
		memcpy(buf, line, n);
		buf[n] = '\0';
	}
}

static char os_id[32], os_codename[32];
static const struct remedy_source system_source = {
	.find_packages = find_packages,
	.file_exists = file_exists,
	.os_id = os_id,
	.os_codename = os_codename,
};

static void read_os_release(void)
{
	CP_CLEANUP(cp_close_file) FILE *file = fopen("/etc/os-release", "re");
	char line[256];
	while (file && fgets(line, sizeof(line), file)) {
		take_os_value(line, "ID", os_id, sizeof(os_id));
		take_os_value(line, "VERSION_CODENAME", os_codename, sizeof(os_codename));
	}
}

const struct remedy_source *remedy_system(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, read_os_release);
	return &system_source;
}
