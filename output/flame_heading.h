/*
 * flame_heading.h - the words around a flame graph: what was measured, and how good it is.
 *
 * Depends on: base, profile, flame_tree.h, flame_cells.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_FLAME_HEADING_H
#define CPROF_OUTPUT_FLAME_HEADING_H

#include "flame_cells.h"
#include "flame_tree.h"

/* Longer titles are cut. */
enum { FLAME_HEADING_CHARS = 300 };

/* All owned, UTF-8 made harmless (see safe_text.h) but not escaped. */
struct flame_heading {
	char *title;    /* the command and process, unless the caller gives one */
	char *subtitle; /* samples, duration, rate, event, threads, time of recording */
	char *unit;     /* what is counted: "samples" */
};

/** What the titles say. Return: 0 or -ENOMEM (nothing to release). */
int flame_heading_init(struct flame_heading *heading, const struct flame_tree *tree,
		       const char *title, const char *thread_re);
void flame_heading_deinit(struct flame_heading *heading);

/**
 * The line at the bottom: complete stacks, symbols, losses, what was merged.
 *
 * The shares are of the samples drawn; losses are the whole recording's.
 * Return: text to be freed, or NULL when out of memory.
 */
char *flame_heading_quality(const struct flame_tree *tree, const struct flame_cells *cells);

/**
 * What the marks in the picture mean, of those that there are: "[joined]: ...".
 *
 * Return: text to be freed, "" without marks, or NULL when out of memory.
 */
char *flame_heading_marks(const struct flame_tree *tree);

#endif
