/*
 * flame_palette.h - the colours of a flame graph, which follow from a frame's name and kind alone,
 * so that a function looks the same in every graph.
 *
 * A kind of code has a family of hues; the name picks one of the family. Each colour has a light
 * and a dark form; text on it has a contrast of at least 4.5:1 (WCAG 2.1, 1.4.3), which is tested.
 *
 * Depends on: frames.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_FLAME_PALETTE_H
#define CPROF_OUTPUT_FLAME_PALETTE_H

#include "frames.h"

#include <stdio.h>

enum flame_family {
	FLAME_USER,
	FLAME_INLINED,
	FLAME_KERNEL,
	FLAME_JIT,
	FLAME_UNNAMED, /* no function name is known */
	FLAME_PLAIN,   /* root, process, marker */
	FLAME_MERGED,
	FLAME_FAMILIES
};

enum { FLAME_SHADES = 12 };

/* The text on top of the colours. */
#define FLAME_TEXT_LIGHT 0x16181du
#define FLAME_TEXT_DARK 0xf4f5f7u

enum flame_family flame_palette_family(const struct frame *frame);

/** A colour's number, family * 16 + shade. */
unsigned flame_palette_class(enum flame_family family, const char *name);

/** Its CSS class: a letter for the family and a hexadecimal digit for the shade. */
void flame_palette_class_name(unsigned class, char name[3]);

/** 0xRRGGBB of a colour's number, in the light or the dark form. */
uint32_t flame_palette_rgb(unsigned class, bool dark);

/** Write the CSS rules of all colours. */
void flame_palette_write_css(FILE *out);

#endif
