/*
 * help_page.h - `--help` as text, made from the commands' tables.
 *
 * Depends on: cli.h. Threads: any.
 */
#ifndef CPROF_CLI_HELP_PAGE_H
#define CPROF_CLI_HELP_PAGE_H

#include <stdio.h>

struct cli_command;

/** What cprof is and its commands. @width: columns */
void help_page_overview(FILE *out, unsigned width);

/** One command. @width: columns */
void help_page_command(const struct cli_command *command, FILE *out, unsigned width);

/** The few lines that `cprof` alone prints. */
void help_page_usage(FILE *out);

#endif
