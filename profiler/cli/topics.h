/*
 * topics.h - what holds for all commands: exit statuses, files, environment. Shown by `cprof help`
 * and in the man page.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_CLI_TOPICS_H
#define CPROF_CLI_TOPICS_H

#include <stdbool.h>

struct topic_entry {
	const char *term, *text; /* both NULL ends a list */
};

struct topic {
	const char *title; /* NULL ends the list */
	const char *intro; /* or NULL */
	const struct topic_entry *entries;
	bool in_overview; /* `cprof help` shows it too */
};

extern const char topics_summary[];     /* what cprof is, in one line */
extern const char topics_description[]; /* paragraphs with an empty line between them */
extern const struct topic topics[];

#endif
