#include "state.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const struct state_text {
	const char *name, *title;
} states[CP_STATE_COUNT] = {
	[CP_STATE_NONE] = {"none", "unknown"},
	[CP_STATE_RUNNING] = {"running", "running"},
	[CP_STATE_RUNNABLE] = {"runnable", "waiting for a CPU"},
	[CP_STATE_LOCK] = {"lock", "lock"},
	[CP_STATE_IO] = {"io", "I/O"},
	[CP_STATE_SLEEP] = {"sleep", "sleep"},
	[CP_STATE_POLL] = {"poll", "poll"},
	[CP_STATE_CHILD] = {"child", "child process"},
	[CP_STATE_PAGE_FAULT] = {"page_fault", "page fault"},
	[CP_STATE_STOPPED] = {"stopped", "stopped"},
	[CP_STATE_WAIT] = {"wait", "other wait"},
};

const char *cp_state_name(enum cp_state state)
{
	assert((unsigned)state < CP_STATE_COUNT);
	return states[state].name;
}

const char *cp_state_title(enum cp_state state)
{
	assert((unsigned)state < CP_STATE_COUNT);
	return states[state].title;
}

bool cp_state_parse(const char *name, enum cp_state *out)
{
	for (size_t i = 0; i < CP_STATE_COUNT; i++) {
		if (strcmp(states[i].name, name) == 0) {
			*out = (enum cp_state)i;
			return true;
		}
	}
	return false;
}

static const char *const inferences[CP_INFERRED_COUNT] = {
	[CP_INFERRED_NO] = "no",
	[CP_INFERRED_FRAMES] = "frames",
	[CP_INFERRED_WAIT] = "wait",
};

const char *cp_inferred_name(enum cp_inferred inferred)
{
	assert((unsigned)inferred < CP_INFERRED_COUNT);
	return inferences[inferred];
}

bool cp_inferred_parse(const char *name, enum cp_inferred *out)
{
	for (size_t i = 0; i < CP_INFERRED_COUNT; i++) {
		if (strcmp(inferences[i], name) == 0) {
			*out = (enum cp_inferred)i;
			return true;
		}
	}
	return false;
}
