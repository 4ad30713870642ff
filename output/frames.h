/*
 * frames.h - the frames of a symbolized profile, as every view shows them.
 *
 * A location may be several frames (its inline chain) and several locations may be one frame (the
 * addresses of a function). A frame is (function name, source file, line, module, flags); a view
 * decides how much of that makes two frames the same. This is the one place where a frame gets its
 * name: demangled function, else `[module]` (the binary's file name), else `[unknown]`. Names are
 * shown as they are in the file: a view that writes a format escapes them.
 *
 * Depends on: base, profile. Threads: the owner's.
 */
#ifndef CPROF_OUTPUT_FRAMES_H
#define CPROF_OUTPUT_FRAMES_H

#include "profile/profile.h"

typedef struct {
	uint32_t v;
} frame_id;

struct frame {
	string_id name; /* in the frames' own interner */
	string_id file; /* source path or "" */
	uint32_t line;  /* of the executing instruction (or of the inlined call); 0 = unknown, as
			   without a file */
	uint32_t start_line; /* of the function; 0 = unknown */
	string_id module;    /* path of the binary */
	bool kernel, inlined, jit;
	bool symbolized; /* name is a function's, not `[module]` or `[unknown]` */
};

struct frames; /* all frames of one profile */

/** What stands below comm in the stacks that are inferred so: "[inferred]", "[estimated]", or "".
 */
static inline const char *frames_inferred_mark(enum cp_inferred inferred)
{
	static const char *const marks[CP_INFERRED_COUNT] = {
		[CP_INFERRED_NO] = "",
		[CP_INFERRED_FRAMES] = "[inferred]",
		[CP_INFERRED_WAIT] = "[estimated]",
	};
	return marks[inferred];
}

/** Build for a profile, which must outlive it. Return: 0 or -ENOMEM. */
int frames_create(const struct profile *profile, struct frames **out);
void frames_destroy(struct frames *frames);

/** How many there are: ids are 0 .. count - 1. */
size_t frames_count(const struct frames *frames);
const struct frame *frames_get(const struct frames *frames, frame_id id);
const char *frames_text(const struct frames *frames, string_id id);

/** The frames of a location, innermost first; at least one. Borrowed, valid with @frames. */
const frame_id *frames_of_location(const struct frames *frames, location_id location, size_t *n);

/**
 * The frames of a whole stack, leaf first, written from (*array)[0] on.
 *
 * @array, @cap: the caller's, NULL and 0 at first; grown as needed, to be used again and freed
 * Return: the number of frames (0 for the empty stack), or -ENOMEM.
 */
long frames_of_stack(const struct frames *frames, stack_id stack, frame_id **array, size_t *cap);

#endif
