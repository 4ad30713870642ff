/*
 * heap_files.h - the heap files of one `heap run`: where they are made, found again, and moved to.
 *
 * They are made in memory (/dev/shm) where that has room, since a file system that writes back
 * stalls the target's malloc, and moved to the working directory when their processes have ended.
 *
 * Depends on: heap. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_FILES_H
#define CPROF_CLI_HEAP_FILES_H

#include "base/err.h"
#include "heap/heap_target.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_made {
	char path[PATH_MAX];
	char exe[HEAP_PATH_BYTES];
	uint32_t pid;
	uint64_t start_ns;
	enum heap_target_state state;
	bool empty;   /* no block was ever recorded */
	bool matches; /* --follow's expression, or there is none */
};

struct heap_files {
	char prefix[PATH_MAX];  /* of all their names */
	char pattern[PATH_MAX]; /* for the shim: %p is the pid */
	struct heap_made *made;
	size_t n, cap;
};

/** Choose where. @command: whose base name is in the names. Return: 0 or -errno with a message. */
int heap_files_init(struct heap_files *files, const char *command, struct cp_err *err);
void heap_files_deinit(struct heap_files *files);

/** True once a process has made its file. */
bool heap_files_has(const struct heap_files *files, pid_t pid);

/** Find them, in the order in which they were begun. Return: 0 or -errno with a message. */
int heap_files_find(struct heap_files *files, struct cp_err *err);

/**
 * Note in the command's file when it ended, if it was killed and could not do so itself: there is
 * nothing else that would tell.
 *
 * @end_ns: CLOCK_MONOTONIC
 */
void heap_files_note_end(const struct heap_files *files, pid_t root, uint64_t end_ns);

/**
 * Move those of ended processes away.
 *
 * @root:    the command's pid: the file of its last program gets the name @output, those of others
 *           one made from theirs
 * @command: its name
 * @output:  NULL: COMMAND.PID.cprof-heap, and EXE.PID.cprof-heap for others; may hold %p
 * Return: 0 or -errno with a message: the first that could not be moved stays, and its successors.
 */
int heap_files_move(struct heap_files *files, pid_t root, const char *command, const char *output,
		    struct cp_err *err);

#endif
