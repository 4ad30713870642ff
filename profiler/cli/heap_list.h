/*
 * heap_list.h - the heap files that lie about: of running processes, and left over.
 *
 * Depends on: heap. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_LIST_H
#define CPROF_CLI_HEAP_LIST_H

#include <stdint.h>
#include <stdio.h>

struct heap_list {
	int n;               /* listed */
	int n_left;          /* of these in /dev/shm, of processes that have ended ... */
	uint64_t left_bytes; /* ... and the memory they take */
};

/** List those in /dev/shm and in the working directory. Return: 0 or -ENOMEM. */
int heap_list(FILE *out, struct heap_list *list);

#endif
