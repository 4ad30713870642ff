#include "jit_files.h"

#include "base/cleanup.h"
#include "base/regular_file.h"
#include "perf_map.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { N_KINDS = JIT_FILE_DUMP + 1 };

struct held {
	pid_t pid;
	struct perf_map_users users;
	int fds[N_KINDS]; /* -1 = not there yet */
};

struct jit_files {
	struct held held[JIT_FILES_MAX];
	size_t n;
};

struct jit_files *jit_files_create(void)
{
	return calloc(1, sizeof(struct jit_files));
}

static void close_all(struct held *held)
{
	for (int kind = 0; kind < N_KINDS; kind++)
		cp_close_fd(&held->fds[kind]);
}

void jit_files_destroy(struct jit_files *files)
{
	for (size_t i = 0; files && i < files->n; i++)
		close_all(&files->held[i]);
	free(files);
}

/* "…/jit-1234.dump"; the number is the process' own idea of its pid. */
static bool is_dump(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash || strncmp(slash, "/jit-", 5) != 0)
		return false;
	const char *number = slash + 5;
	size_t digits = strspn(number, "0123456789");
	return digits > 0 && strcmp(number + digits, ".dump") == 0;
}

/* Runtimes map the dump, executable, so that whoever records sees it. Return: 0; -ENOENT: none. */
static int find_dump(pid_t pid, char *path, size_t size)
{
	char maps[64];
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t room = 0;
	snprintf(maps, sizeof(maps), "/proc/%ld/maps", (long)pid);
	CP_CLEANUP(cp_close_file) FILE *file = fopen(maps, "re");
	while (file && getline(&line, &room, file) > 0) {
		char *name = strchr(line, '/');
		line[strcspn(line, "\n")] = '\0';
		if (!name || !is_dump(name))
			continue;
		int n = snprintf(path, size, "/proc/%ld/root%s", (long)pid, name);
		return n > 0 && (size_t)n < size ? 0 : -ENOENT;
	}
	return -ENOENT;
}

static int find_now(pid_t pid, const struct perf_map_users *users, enum jit_file_kind kind,
		    char *path, size_t size)
{
	return kind == JIT_FILE_DUMP ? find_dump(pid, path, size)
				     : perf_map_find(pid, users, path, size);
}

static void open_files(struct held *held)
{
	/* also of one that changes its user, once it has */
	perf_map_users_of(held->pid, &held->users);
	for (int kind = 0; kind < N_KINDS; kind++) {
		char path[PATH_MAX];
		if (held->fds[kind] >= 0 ||
		    find_now(held->pid, &held->users, (enum jit_file_kind)kind, path,
			     sizeof(path)) < 0)
			continue;
		int fd = regular_file_open(path);
		held->fds[kind] = fd < 0 ? -1 : fd;
	}
}

static const struct held *find_held(const struct jit_files *files, pid_t pid)
{
	for (size_t i = 0; files && i < files->n; i++)
		if (files->held[i].pid == pid)
			return &files->held[i];
	return NULL;
}

void jit_files_hold(struct jit_files *files, pid_t pid)
{
	struct held *held = (struct held *)find_held(files, pid);
	if (!held && files->n == JIT_FILES_MAX)
		return;
	if (held)
		close_all(held); /* another program, or another process of the same number */
	else
		held = &files->held[files->n++];
	*held = (struct held){.pid = pid, .fds = {-1, -1}};
	open_files(held);
}

void jit_files_refresh(struct jit_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		open_files(&files->held[i]);
}

int jit_files_find(const struct jit_files *files, pid_t pid, enum jit_file_kind kind, char *path,
		   size_t size)
{
	const struct held *held = find_held(files, pid);
	if (!held || held->fds[kind] < 0)
		return find_now(pid, held ? &held->users : NULL, kind, path, size);
	int n = snprintf(path, size, "/proc/self/fd/%d", held->fds[kind]);
	return n > 0 && (size_t)n < size ? 0 : -ENOENT;
}
