#include "runtime_hints.h"

#include "profile/header_keys.h"
#include "strbuf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a stack has frames of; bits. */
enum {
	PYTHON = 1 << 0,
	NODE = 1 << 1,
	JAVA = 1 << 2,
	JIT_BARE = 1 << 3,
	JIT_NAMED = 1 << 4,
};

static const double notable_pct = 5;

static const struct {
	const char *name; /* in the header */
	unsigned char bit;
} runtimes[] = {{"python", PYTHON}, {"node", NODE}, {"java", JAVA}};

enum { N_RUNTIMES = sizeof(runtimes) / sizeof(runtimes[0]) };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The 11 of "python3.11" and "libpython3.11.so.1.0"; -1 = none. */
static int python_minor(const char *base)
{
	if (strncmp(base, "lib", 3) == 0)
		base += 3;
	if (strncmp(base, "python3.", 8) != 0 || !isdigit((unsigned char)base[8]))
		return -1;
	long minor = strtol(base + 8, NULL, 10);
	return minor < 1000 ? (int)minor : -1;
}

static unsigned char runtime_of_path(const char *path)
{
	const char *base = base_name(path);
	if (python_minor(base) >= 0 || strcmp(base, "python3") == 0 || strcmp(base, "python") == 0)
		return PYTHON;
	if (strcmp(base, "node") == 0 || strcmp(base, "nodejs") == 0 ||
	    strncmp(base, "libnode.so", 10) == 0)
		return NODE;
	return strcmp(base, "libjvm.so") == 0 ? JAVA : 0;
}

static unsigned char *classify_modules(const struct profile *profile, int *python)
{
	unsigned char *of_module = calloc(profile->n_modules + 1, 1);
	*python = -1;
	for (size_t i = 0; of_module && i < profile->n_modules; i++) {
		const char *path = profile_text(profile, profile->modules[i].path);
		of_module[i] = runtime_of_path(path);
		if (of_module[i] == PYTHON && *python < 0)
			*python = python_minor(base_name(path));
	}
	return of_module;
}

/* What the whole stack of each stack id has; a caller's bits hold for its callees. */
static unsigned char *classify_stacks(const struct profile *profile, const struct frames *frames,
				      const unsigned char *of_module)
{
	unsigned char *of_stack = calloc(profile->stacks.n, 1);
	for (uint32_t s = 1; of_stack && s < profile->stacks.n; s++) {
		location_id location = stack_store_leaf(&profile->stacks, (stack_id){s});
		size_t n;
		const frame_id *ids = frames_of_location(frames, location, &n);
		const struct frame *frame = frames_get(frames, ids[0]);
		of_stack[s] = of_stack[stack_store_parent(&profile->stacks, (stack_id){s}).v];
		of_stack[s] |= of_module[profile->locations[location.v].module.v];
		if (frame->jit)
			of_stack[s] |= frame->symbolized ? JIT_NAMED : JIT_BARE;
	}
	return of_stack;
}

static char *hint_text(unsigned char runtime, int python)
{
	struct strbuf out = {0};
	if (runtime == NODE)
		strbuf_add(&out, "node: JavaScript functions have no names here; run the program "
				 "with `node --perf-basic-prof`");
	else if (runtime == JAVA)
		strbuf_add(&out, "java: Java methods have no names here; attach a perf-map agent "
				 "(perf-map-agent, or JDK 17 and later: jcmd PID "
				 "Compiler.perfmap), with -XX:+PreserveFramePointer");
	else if (python >= 12)
		strbuf_add(&out, "python: frames inside the interpreter are C functions; run the "
				 "program with `python3 -X perf` to see Python functions");
	else if (python >= 0)
		strbuf_addf(&out,
			    "python: frames inside the interpreter are C functions; `python3 -X "
			    "perf` names Python functions from Python 3.12 on, this is 3.%d",
			    python);
	else
		strbuf_add(&out, "python: frames inside the interpreter are C functions; run the "
				 "program with `python3 -X perf` (Python 3.12 and later)");
	if (strbuf_failed(&out))
		strbuf_deinit(&out);
	return out.bytes;
}

/* Whether the header's comma-separated list names a runtime. */
static bool header_names(const struct profile *profile, const char *name)
{
	const char *list = profile_header_get(profile, HEADER_RUNTIMES);
	size_t n = strlen(name);
	while (list && *list) {
		size_t item = strcspn(list, ",");
		if (item == n && memcmp(list, name, n) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

int runtime_hints_find(const struct profile *profile, const struct frames *frames,
		       const struct measure *measure, struct quality *quality)
{
	int64_t amounts[N_RUNTIMES] = {0}, named = 0;
	int python;
	unsigned char *of_module = classify_modules(profile, &python);
	unsigned char *of_stack = of_module ? classify_stacks(profile, frames, of_module) : NULL;
	free(of_module);
	if (!of_stack)
		return -ENOMEM;
	bool in_header[N_RUNTIMES];
	for (size_t r = 0; r < N_RUNTIMES; r++)
		in_header[r] = header_names(profile, runtimes[r].name);
	for (size_t i = 0; i < profile->n_samples; i++) {
		unsigned char has = of_stack[profile->samples[i].stack.v];
		int64_t value = measure_of_sample(measure, profile, i).value;
		if (has & JIT_NAMED)
			named = amount_sum(named, value);
		for (size_t r = 0; r < N_RUNTIMES; r++) {
			/* generated code belongs to the runtime that the recorder saw */
			unsigned char bits = runtimes[r].bit | (in_header[r] ? JIT_BARE : 0);
			if (has & bits)
				amounts[r] = amount_sum(amounts[r], value);
		}
	}
	free(of_stack);
	for (size_t r = 0; r < N_RUNTIMES && named == 0; r++) {
		if (amount_pct(amounts[r], quality->samples) < notable_pct)
			continue;
		char *text = hint_text(runtimes[r].bit, python);
		if (!text)
			return -ENOMEM;
		quality->runtime_hints[quality->n_runtime_hints++] = text;
	}
	return 0;
}
