/*
 * pprof_header.h - which header entries a file holds, and with which values.
 *
 * Internal to this folder: the part of an encoder that sends a comment again only when its value
 * changed.
 *
 * Depends on: nothing. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PPROF_HEADER_H
#define CPROF_PROFILE_PPROF_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct pprof_header_entry {
	char *key;
	char *value;   /* in the file; NULL = none */
	char *pending; /* in the member being made; NULL = none */
};

struct pprof_header {
	struct pprof_header_entry *entries;
	size_t n, cap;
};

void pprof_header_deinit(struct pprof_header *header);

/**
 * Note that the member being made brings this entry, unless the file holds it already.
 *
 * @news: false when the file holds it
 * Return: 0 or -ENOMEM.
 */
int pprof_header_put(struct pprof_header *header, const char *key, const char *value, bool *news);

void pprof_header_commit(struct pprof_header *header);
void pprof_header_rollback(struct pprof_header *header);

#endif
