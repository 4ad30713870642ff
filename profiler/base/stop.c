#include "stop.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name, *advice;
} stops[CP_STOP_COUNT] = {
	[CP_STOP_END] = {"end", "complete"},
	[CP_STOP_TRUNCATED] = {"truncated",
			       "the stack is deeper than the part that was copied; the inner "
			       "frames are right, the outer ones are missing"},
	[CP_STOP_NO_MAP] = {"no_map",
			    "a frame outside every known code mapping: generated code, or a "
			    "mapping that vanished"},
	[CP_STOP_NO_CFI] = {"no_cfi",
			    "code without unwind information: hand-written assembly, or "
			    "built with -fno-asynchronous-unwind-tables; build it without that "
			    "option, or with -fno-omit-frame-pointer"},
	[CP_STOP_UNSUPPORTED] = {"unsupported",
				 "unwind information that could not be evaluated: damaged, or "
				 "of a kind that only a debugger uses"},
	[CP_STOP_SP_BACKWARDS] = {"sp_backwards", "the stack pointer stopped moving outward: "
						  "wrong unwind information or a swapped stack"},
	[CP_STOP_BAD_RA] = {"bad_ra",
			    "a return address that points to no code: an overwritten stack, "
			    "or wrong unwind information"},
	[CP_STOP_DEPTH] =
		{"depth",
		 "more frames than are kept; the inner and the outer ones are right, those "
		 "between are left out"},
	[CP_STOP_NO_USER] = {"no_user", "no user stack: a kernel thread or an exiting task"},
	[CP_STOP_UNSEEN] = {"unseen", "the stack was not taken: the thread waited for a CPU, too "
				      "shortly to be looked at, or may not be read"},
};

const char *cp_stop_name(enum cp_stop stop)
{
	assert((unsigned)stop < CP_STOP_COUNT);
	return stops[stop].name;
}

const char *cp_stop_advice(enum cp_stop stop)
{
	assert((unsigned)stop < CP_STOP_COUNT);
	return stops[stop].advice;
}

bool cp_stop_parse(const char *name, enum cp_stop *out)
{
	for (size_t i = 0; i < CP_STOP_COUNT; i++) {
		if (strcmp(stops[i].name, name) == 0) {
			*out = (enum cp_stop)i;
			return true;
		}
	}
	return false;
}

static const char *const joins[CP_JOINED_COUNT] = {
	[CP_JOINED_NO] = "no",
	[CP_JOINED_MEMORY] = "memory",
	[CP_JOINED_CALLCHAIN] = "callchain",
	[CP_JOINED_FRAME_POINTERS] = "frame_pointers",
};

const char *cp_joined_name(enum cp_joined joined)
{
	assert((unsigned)joined < CP_JOINED_COUNT);
	return joins[joined];
}

bool cp_joined_parse(const char *name, enum cp_joined *out)
{
	for (size_t i = 0; i < CP_JOINED_COUNT; i++) {
		if (strcmp(joins[i], name) == 0) {
			*out = (enum cp_joined)i;
			return true;
		}
	}
	return false;
}
