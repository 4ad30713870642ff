/*
 * heap_view.h - a heap report printed: what `heap report` and the end of `heap run` have in common.
 *
 * Depends on: heap_load.h, output. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_VIEW_H
#define CPROF_CLI_HEAP_VIEW_H

#include "cli.h"
#include "heap_load.h"
#include "output/heap_report.h"

struct heap_view {
	struct heap_report_options report;
	const char *suppressions; /* path of a file; NULL = built-in rules only */
	const char *since;        /* path of an earlier copy; NULL = none */
};

/* Options that commands have in common. */
enum heap_view_option {
	HEAP_VIEW_MIN_AGE,
	HEAP_VIEW_SUPPRESSIONS,
	HEAP_VIEW_UNFREED,
	HEAP_VIEW_GROWTH,
};

/** Take one over. Return: CLI_OK; CLI_USAGE: it has a wrong value (message printed). */
int heap_view_take(const struct cli_command *command, enum heap_view_option option,
		   const char *value, struct heap_view *view);

/** True when the view is to decide something. */
bool heap_view_has_gate(const struct heap_view *view);

/** That the files of the view's options can be read, before a run. Return: 0 or -errno with a
 * message. */
int heap_view_check(const struct heap_view *view, struct cp_err *err);

/**
 * Report on a file.
 *
 * @file: taken over
 * @out:  what goes out in the end; nothing on failure
 * @gate: as heap_report_write()
 * Return: 0 or -errno with a message.
 */
int heap_view_write(struct heap_file *file, const struct heap_view *view, FILE *out,
		    enum heap_gate_result *gate, struct cp_err *err);

#endif
