/*
 * flame_cells.h - the part of a call tree that a flame graph file holds, chosen to fit a size.
 *
 * A frame narrower than 0.1 px in the picture cannot be seen, nor hit with a mouse. Such frames
 * are merged into one cell per parent. When what remains does not fit the budget, the narrowest
 * go the same way, and long names are shortened; which, is computed before anything is written. A
 * frame that stays has all its ancestors stay, and every sample stays in some cell.
 *
 * Depends on: base, flame_tree.h, flame_entries.h. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_FLAME_CELLS_H
#define CPROF_OUTPUT_FLAME_CELLS_H

#include "flame_entries.h"
#include "flame_tree.h"

struct flame_cell {
	uint32_t entry; /* FLAME_NONE: a "(merged)" cell */
	uint32_t depth;
	uint32_t line;        /* 0 = unknown */
	uint32_t frames;      /* merged into it; 0 for others */
	int64_t start, total; /* samples left of it, and in it */
	bool drawn;           /* wide enough for the picture that needs no script */
};

struct flame_cells {
	struct flame_entries entries;
	struct flame_cell *cells; /* depth first, parents before children, left to right */
	size_t n, cap;
	uint32_t max_depth, max_drawn_depth;
	uint64_t merged_frames;
	int64_t merged_samples;
	double merged_px; /* every merged frame is narrower than this */
};

struct flame_cells_options {
	double width_px;     /* of the root in the picture */
	double min_px;       /* narrower frames are merged */
	double min_drawn_px; /* narrower ones are in the data but not in the script-less picture */
	size_t budget_bytes; /* for data and picture together, as costed in flame_cells.c */
};

/** Return: 0 or -ENOMEM. */
int flame_cells_create(const struct flame_tree *tree, const struct flame_cells_options *options,
		       struct flame_cells **out);
void flame_cells_destroy(struct flame_cells *cells);

/* No title in the picture is longer. */
enum { FLAME_TITLE_CHARS = 100 };

/* A picture's cell narrower than this has no title; narrower than the other, no label. */
#define FLAME_TITLE_MIN_PX 2.0
#define FLAME_LABEL_MIN_PX 30.0

#endif
