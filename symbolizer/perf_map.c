#include "perf_map.h"

#include "text_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A busy JIT writes some tens of MB; more is not read into memory. */
enum { PERF_MAP_MAX_BYTES = 512 * 1024 * 1024, STATUS_MAX_BYTES = 64 * 1024 };

void perf_map_deinit(struct perf_map *map)
{
	symbol_table_deinit(&map->table);
	free(map->text);
	map->text = NULL;
}

static bool parse_line(char *line, uint32_t number, struct symbol *out)
{
	uint64_t start, size;
	if (!text_file_hex(&line, &start) || *line++ != ' ' || !text_file_hex(&line, &size) ||
	    *line++ != ' ' || start + size <= start || !*line)
		return false;
	*out = (struct symbol){
		.start = start, .end = start + size, .name = line, .rank = number, .sized = true};
	return true;
}

int perf_map_read(struct perf_map *map, const char *path, struct cp_err *err)
{
	size_t n;
	*map = (struct perf_map){.text = NULL};
	int rc = text_file_read(path, PERF_MAP_MAX_BYTES, &map->text, &n);
	if (rc < 0)
		return cp_fail(err, rc, "%s: %s", path, strerror(-rc));
	map->table.newest_wins = true;
	char *line = map->text, *next;
	for (uint32_t number = 0; line && *line && rc == 0; line = next, number++) {
		struct symbol symbol;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (parse_line(line, number, &symbol))
			rc = symbol_table_add(&map->table, &symbol);
		else
			map->malformed++;
	}
	if (rc == 0)
		rc = symbol_table_seal(&map->table);
	if (rc < 0) {
		perf_map_deinit(map);
		return cp_fail_nomem(err);
	}
	return 0;
}

/* The pid that a process has in its own namespace; its own number when that cannot be read. */
static long pid_inside(pid_t pid)
{
	char path[64];
	char *status;
	size_t n;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (text_file_read(path, STATUS_MAX_BYTES, &status, &n) < 0)
		return pid;
	long inside = pid;
	char *line = strstr(status, "\nNSpid:"); /* from the outermost to the innermost */
	if (line) {
		line += strlen("\nNSpid:");
		line[strcspn(line, "\n")] = '\0';
		char *last = strrchr(line, '\t');
		char *end = NULL;
		long value = last ? strtol(last + 1, &end, 10) : 0;
		if (end && *end == '\0' && value > 0)
			inside = value;
	}
	free(status);
	return inside;
}

/* When a process began, on the wall clock; 0 when that cannot be read. */
static int64_t began_s(pid_t pid)
{
	enum { FIELD_STARTTIME = 22, FIELD_BEHIND_NAME = 3 }; /* proc(5) */
	char path[64];
	char *text;
	size_t n;
	struct timespec now, up;
	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	if (text_file_read(path, STATUS_MAX_BYTES, &text, &n) < 0)
		return 0;
	char *field = strrchr(text, ')'); /* the name may hold anything */
	for (int i = FIELD_BEHIND_NAME - 1; field && i < FIELD_STARTTIME; i++)
		field = strchr(field + 1, ' ');
	const long long ticks = field ? strtoll(field, NULL, 10) : 0;
	free(text);
	if (ticks <= 0 || clock_gettime(CLOCK_REALTIME, &now) != 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &up) != 0)
		return 0;
	return (int64_t)now.tv_sec - (int64_t)up.tv_sec + ticks / sysconf(_SC_CLK_TCK);
}

bool perf_map_users_of(pid_t pid, struct perf_map_users *out)
{
	char path[64];
	char *status;
	size_t n;
	unsigned int real, effective;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	if (text_file_read(path, STATUS_MAX_BYTES, &status, &n) < 0)
		return false;
	const char *line = strstr(status, "\nUid:");
	const bool known = line && sscanf(line, "\nUid: %u %u", &real, &effective) == 2;
	free(status);
	if (known)
		*out = (struct perf_map_users){.known = true, .real = real, .effective = effective};
	return known;
}

/* Anybody may write to /tmp: only what root, we ourselves or the process's own user left counts. */
static bool is_of_owner(const struct stat *st, const struct perf_map_users *users)
{
	return st->st_uid == 0 || st->st_uid == geteuid() ||
	       (users->known && (st->st_uid == users->real || st->st_uid == users->effective));
}

/* Runtimes leave their maps behind, and numbers of processes come again. Return: as the caller. */
static int check(const char *path, pid_t pid, const struct perf_map_users *users)
{
	enum { CLOCK_SLACK_S = 2 };
	struct stat st;
	if (stat(path, &st) != 0 || (int64_t)st.st_mtime + CLOCK_SLACK_S < began_s(pid))
		return -ENOENT;
	return is_of_owner(&st, users) ? 0 : -EPERM;
}

int perf_map_find(pid_t pid, const struct perf_map_users *users, char *path, size_t size)
{
	struct perf_map_users now = {.known = false};
	if (!users || !users->known) {
		perf_map_users_of(pid, &now);
		users = &now;
	}
	snprintf(path, size, "/proc/%ld/root/tmp/perf-%ld.map", (long)pid, pid_inside(pid));
	const int rc = check(path, pid, users);
	if (rc != -ENOENT)
		return rc;
	snprintf(path, size, "/tmp/perf-%ld.map", (long)pid);
	return check(path, pid, users);
}
