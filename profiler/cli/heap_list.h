/*
 * heap_list.h - the heap files that lie about: of running processes, and left over.
 *
 * Depends on: heap. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_LIST_H
#define CPROF_CLI_HEAP_LIST_H

#include <stdio.h>

/** List those in /dev/shm and in the working directory. Return: how many, or -errno. */
int heap_list(FILE *out);

#endif
