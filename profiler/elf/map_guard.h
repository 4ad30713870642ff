/*
 * map_guard.h - go on when a mapped file is truncated under us.
 *
 * Debug files of gigabytes are mapped, not read; whoever owns one may truncate it at any time (a
 * package that is upgraded, a rebuild), and a look at a page that is gone is a SIGBUS. Inside a
 * guarded range the signal's handler puts zeros there and notes the hit: readers that validate
 * what they read find zeros, end, and ask afterwards.
 *
 * A SIGBUS anywhere else has the effect that it had before.
 *
 * Depends on: nothing. Threads: any; a hit in one thread is seen by all.
 */
#ifndef CPROF_ELF_MAP_GUARD_H
#define CPROF_ELF_MAP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum { MAP_GUARD_NONE = -1 };

/**
 * Guard a private mapping of a file, which must stay mapped until map_guard_remove().
 *
 * Return: a number for the calls below; MAP_GUARD_NONE when too many are guarded already (it is
 *         not guarded then).
 */
int map_guard_add(const void *bytes, size_t n);

/** Whether something of the range was gone when it was looked at. */
bool map_guard_hit(int guard);

/** End it; MAP_GUARD_NONE is accepted. */
void map_guard_remove(int guard);

/**
 * Guard whatever this thread looks at, page by page, until map_guard_open_end(): for the moment in
 * which a library maps a file and reads its header, before the mapping's address is known.
 */
void map_guard_open_begin(void);

/** Return: true when something was gone. */
bool map_guard_open_end(void);

#endif
