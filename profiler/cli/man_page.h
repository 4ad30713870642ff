/*
 * man_page.h - cprof(1) in troff, made from the same tables as --help.
 *
 * Depends on: cli.h. Threads: any.
 */
#ifndef CPROF_CLI_MAN_PAGE_H
#define CPROF_CLI_MAN_PAGE_H

#include <stdio.h>

/** The whole page; holds no date, so that a build can be repeated byte by byte. */
void man_page_write(FILE *out);

#endif
