/*
 * jit_files.h - what runtimes write about their generated code, held while they are recorded.
 *
 * Names are looked up when a recording ends, and by then a process may be gone, and with it the
 * mount namespace that its /tmp was in. So its perf map and its jitdump are opened as soon as code
 * of it that has no file runs; they are read at the end, with all that was added meanwhile.
 *
 * Depends on: base, elf (opening regular files), perf_map. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_JIT_FILES_H
#define CPROF_SYMBOLIZER_JIT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Processes whose files are held; of more, what is still there at the end counts. */
enum { JIT_FILES_MAX = 128 };

struct jit_files;

/** Return: NULL when out of memory. */
struct jit_files *jit_files_create(void);
void jit_files_destroy(struct jit_files *files);

/** Hold what a process has written, or will: jit_files_refresh() looks again. */
void jit_files_hold(struct jit_files *files, pid_t pid);

/** Look for files that were not there yet. Context: some system calls for each process held. */
void jit_files_refresh(struct jit_files *files);

enum jit_file_kind { JIT_FILE_MAP, JIT_FILE_DUMP };

/**
 * Where a process' file can be read: the held one, else what there is now.
 *
 * @files: may be NULL
 * @path:  of @size bytes
 * Return: 0; -ENOENT: there is none (of a dump also when the process is gone and was not held);
 *         -EPERM: the map at @path is another user's.
 */
int jit_files_find(const struct jit_files *files, pid_t pid, enum jit_file_kind kind, char *path,
		   size_t size);

#endif
