/*
 * regular_file.h - open a path that somebody else chose.
 *
 * A path out of a profile, a debug link or a process's mappings may lead to anything by the time it
 * is opened. Opening alone has effects: a FIFO lets a writer go on or waits for one, a tape
 * rewinds, a watchdog begins to count down. So what a path names is looked at without opening it.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_BASE_REGULAR_FILE_H
#define CPROF_BASE_REGULAR_FILE_H

/**
 * Open a regular file for reading; nothing else is opened.
 *
 * Return: the descriptor or -errno (-EINVAL: no regular file).
 */
int regular_file_open(const char *path);

#endif
