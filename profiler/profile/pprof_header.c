#include "pprof_header.h"

#include "base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pprof_header_deinit(struct pprof_header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		free(header->entries[i].key);
		free(header->entries[i].value);
		free(header->entries[i].pending);
	}
	free(header->entries);
	*header = (struct pprof_header){0};
}

static struct pprof_header_entry *find_or_add(struct pprof_header *header, const char *key)
{
	for (size_t i = 0; i < header->n; i++) {
		if (strcmp(header->entries[i].key, key) == 0)
			return &header->entries[i];
	}
	char *copy = strdup(key);
	if (!copy)
		return NULL;
	struct pprof_header_entry *entry = CP_ARRAY_PUSH(header->entries, header->n, header->cap);
	if (entry)
		*entry = (struct pprof_header_entry){.key = copy};
	else
		free(copy);
	return entry;
}

int pprof_header_put(struct pprof_header *header, const char *key, const char *value, bool *news)
{
	struct pprof_header_entry *entry = find_or_add(header, key);
	if (!entry)
		return -ENOMEM;
	*news = !entry->value || strcmp(entry->value, value) != 0;
	if (!*news)
		return 0;
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(entry->pending);
	entry->pending = copy;
	return 0;
}

void pprof_header_commit(struct pprof_header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		struct pprof_header_entry *entry = &header->entries[i];
		if (entry->pending) {
			free(entry->value);
			entry->value = entry->pending;
			entry->pending = NULL;
		}
	}
}

void pprof_header_rollback(struct pprof_header *header)
{
	for (size_t i = 0; i < header->n; i++) {
		free(header->entries[i].pending);
		header->entries[i].pending = NULL;
	}
}
