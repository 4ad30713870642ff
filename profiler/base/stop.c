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
	[CP_STOP_NO_MAP] = {"no_map", "a frame outside every known code mapping: JIT code without "
				      "a perf map, or a mapping that vanished"},
	[CP_STOP_NO_CFI] = {"no_cfi", "code without unwind information: hand-written assembly, or "
				      "built with -fno-asynchronous-unwind-tables"},
	[CP_STOP_UNSUPPORTED] = {"unsupported", "unwind information that could not be evaluated"},
	[CP_STOP_SP_BACKWARDS] = {"sp_backwards", "the stack pointer stopped moving outward: "
						  "wrong unwind information or a swapped stack"},
	[CP_STOP_BAD_RA] = {"bad_ra", "a return address that points to no code"},
	[CP_STOP_DEPTH] = {"depth", "more frames than the limit; the inner ones are right"},
	[CP_STOP_NO_USER] = {"no_user", "no user stack: a kernel thread or an exiting task"},
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
