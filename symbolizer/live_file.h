/*
 * live_file.h - open what a running process has mapped under a path, also when it was deleted.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_LIVE_FILE_H
#define CPROF_SYMBOLIZER_LIVE_FILE_H

#include <sys/types.h>

/**
 * Open a file through /proc/PID/map_files, which takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, or
 * /proc/PID/exe.
 *
 * Which of several files of one path it is (an upgrade may have left two) is not known: the caller
 * compares build-ids.
 * @path: as the process sees it
 * Return: a descriptor, or -ENOENT, -errno.
 */
int live_file_open(pid_t pid, const char *path);

#endif
