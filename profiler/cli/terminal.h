/*
 * terminal.h - what the terminal allows, and the one line that shows progress on it.
 *
 * Depends on: nothing. Threads: the main one; terminal_progress() any.
 */
#ifndef CPROF_CLI_TERMINAL_H
#define CPROF_CLI_TERMINAL_H

#include <stdbool.h>

/** Colour is wanted on @fd: a terminal that knows it, and NO_COLOR not set. */
bool terminal_colour(int fd);

/** Columns of @fd: COLUMNS, else the terminal's; 0 when it is none: no limit. */
unsigned terminal_width(int fd);

/**
 * Show progress on standard error in place of the line shown before; nothing when that is no
 * terminal. Cut at the terminal's width.
 */
void terminal_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Wipe the progress line, if there is one, so that other text can follow. */
void terminal_progress_end(void);

#endif
