/*
 * perf_map.h - names of code that a runtime generated, from the map it writes for perf.
 *
 * A line is "START SIZE name". The runtime may reuse memory: where entries overlap, the one
 * written last holds.
 *
 * Depends on: base, symbol_table. Threads: immutable once read.
 */
#ifndef CPROF_SYMBOLIZER_PERF_MAP_H
#define CPROF_SYMBOLIZER_PERF_MAP_H

#include "base/err.h"
#include "symbol_table.h"

#include <stdbool.h>
#include <sys/types.h>

struct perf_map {
	struct symbol_table table;
	char *text;       /* the file; names are in it */
	size_t malformed; /* lines that say nothing */
};

/**
 * Read one map.
 *
 * Return: 0; -errno of reading; -EFBIG; -ENOMEM. Nothing to release then.
 */
int perf_map_read(struct perf_map *map, const char *path, struct cp_err *err);

/* Whose process it is. */
struct perf_map_users {
	bool known;
	uid_t real, effective;
};

/** Return: false (@out is untouched) when it is gone. */
bool perf_map_users_of(pid_t pid, struct perf_map_users *out);

/**
 * Where the map of a process is: below its own root and by its pid in its own namespace while it is
 * alive, else /tmp/perf-PID.map. One that was last written to before the process began is another
 * process' map; one that belongs to neither its user, us nor root is not to be trusted.
 *
 * @users: as known from when the process was alive; NULL or not known: as it is now
 * @path:  of @size bytes
 * Return: 0; -ENOENT: there is none; -EPERM: the one at @path is another user's.
 */
int perf_map_find(pid_t pid, const struct perf_map_users *users, char *path, size_t size);

void perf_map_deinit(struct perf_map *map);

#endif
