/*
 * heap_ended.h - what is said of the heap files of a command that has ended, and what its gates
 * decide.
 *
 * A command may have run others: of the command itself there is a summary, of the others a line,
 * unless a gate fails on them.
 *
 * Depends on: heap_files.h, heap_view.h. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_ENDED_H
#define CPROF_CLI_HEAP_ENDED_H

#include "heap_files.h"
#include "heap_view.h"

struct heap_ended {
	const struct heap_view *view;
	struct heap_files *files;
	pid_t root;         /* the command */
	const char *follow; /* --follow; NULL = not given */
	bool quiet;
};

/** True when --follow is a regular expression: the command counts only if it matches. */
bool heap_ended_is_pattern(const char *follow);

/** Which of the files count: all, or the programs that were asked for. */
void heap_ended_select(const struct heap_ended *ended);

/** Report on them, on standard error. Return: what the gates say together. */
enum heap_gate_result heap_ended_report(const struct heap_ended *ended);

#endif
