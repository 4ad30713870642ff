/*
 * heap_target.h - the process behind a heap file: found, running or not, and what moment the
 * file's numbers show.
 *
 * A process is known by its pid and start time; that it maps the very file tells the live file from
 * a copy of it. Nothing here stops or touches the process.
 *
 * Depends on: base, heap_reader.h. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_TARGET_H
#define CPROF_HEAP_HEAP_TARGET_H

#include "base/err.h"
#include "heap_reader.h"

#include <limits.h>
#include <sys/types.h>

enum heap_target_state {
	HEAP_TARGET_RUNNING,  /* and writing to this file */
	HEAP_TARGET_COPY,     /* runs, but this is a copy of its file */
	HEAP_TARGET_EXITED,   /* ran its exit handlers */
	HEAP_TARGET_REPLACED, /* called exec */
	HEAP_TARGET_KILLED,   /* ended otherwise, or runs where it cannot be seen */
	HEAP_TARGET_STATES
};

/** The stable name: "running", "copy", "exited", "replaced", "killed". */
const char *heap_target_state_name(enum heap_target_state state);

struct heap_target {
	enum heap_target_state state;
	pid_t pid;       /* as seen from here, of a running one; else 0 */
	uint64_t now_ns; /* of the numbers, since the file's start */
	/* now_ns is the birth of the youngest live block: when the file was last right is unknown
	 */
	bool now_is_guess;
};

/* An open heap file. */
struct heap_file {
	int fd;
	char path[PATH_MAX]; /* as named, or as found */
	pid_t pid;           /* whose memory has it mapped; 0 = nobody's that is known */
	int64_t mtime_ns;    /* realtime */
};

/** Open by path. Return: 0 or -errno with a message; nothing to close then. */
int heap_file_open(const char *path, struct heap_file *out, struct cp_err *err);

/**
 * Find and open the heap file of a running process: by its memory map, below its own root, also
 * when the file was deleted.
 *
 * Return: 0; -ESRCH: no such process; -ENOENT: it has none; -EACCES; -errno; with a message.
 */
int heap_file_find(pid_t pid, struct heap_file *out, struct cp_err *err);

void heap_file_close(struct heap_file *file);

/** Read the file, and tell about its process. Return: as heap_snapshot_read_fd(). */
int heap_file_read(const struct heap_file *file, struct heap_snapshot **out,
		   struct heap_target *target, struct cp_err *err);

/**
 * Only the header, for lists of files.
 *
 * Return: as heap_snapshot_read_fd().
 */
int heap_file_peek(const struct heap_file *file, struct heap_header *out,
		   struct heap_target *target, struct cp_err *err);

#endif
