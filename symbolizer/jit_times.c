#include "jit_times.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "jit_code.h"
#include "jitdump.h"
#include "perf_map.h"
#include "profile/header_keys.h"
#include "symbolizer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pairs of an address and code there: a sound dump has a few times as many as addresses. */
enum { MAX_USES = 16 * 1024 * 1024 };

/* A location in the process's code. */
struct place {
	uint64_t svma;
	location_id location;
	size_t first_use, n_uses; /* uses[]; n_uses = 0: one function was there, or none */
};

/* Code that lay at a place for some time. */
struct use {
	uint32_t place, symbol; /* symbol: in the table */
	uint64_t time_ns;       /* from when on, CLOCK_MONOTONIC */
	uint32_t rank;          /* which came later of one time */
	uint32_t location;      /* made for it, + 1; 0 = not yet */
};

struct split {
	struct profile *profile;
	struct jit_times *times;
	uint64_t start_ns, quantum_ns; /* of the timeline; quantum_ns = 0: none */
	bool changed;
	/* of the process that is looked at */
	module_id module;
	const struct jitdump *dump; /* NULL: only a map */
	const struct symbol_table *table;
	struct place *places;
	size_t n_places, cap_places;
	struct use *uses;
	size_t n_uses, cap_uses;
	uint32_t *place_of; /* by location: place + 1 */
	location_id *stack;
	size_t cap_stack;
};

void jit_times_deinit(struct jit_times *times)
{
	free(times->notes);
	*times = (struct jit_times){.notes = NULL};
}

static bool is_whole(const struct profile_module *module)
{
	return module->svma_start == 0 && module->svma_end == UINT64_MAX;
}

static int compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	return a->svma < b->svma ? -1 : a->svma > b->svma;
}

static int find_places(struct split *split)
{
	const struct profile *profile = split->profile;
	split->n_places = 0;
	for (uint32_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		if (location->module.v != split->module.v || location->n_lines > 0)
			continue; /* another's, or named when there was more to tell it by */
		struct place *place =
			CP_ARRAY_PUSH(split->places, split->n_places, split->cap_places);
		if (!place)
			return -ENOMEM;
		*place = (struct place){.svma = location->svma, .location = {i}};
	}
	if (split->n_places > 0)
		qsort(split->places, split->n_places, sizeof(*split->places), compare_places);
	return 0;
}

static size_t first_place_at(const struct split *split, uint64_t svma)
{
	size_t low = 0, high = split->n_places;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (split->places[middle].svma < svma)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int compare_uses(const void *left, const void *right)
{
	const struct use *a = left, *b = right;
	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static uint64_t time_of(const struct split *split, const struct symbol *symbol)
{
	/* of a map the order is what there is */
	return split->dump ? split->dump->codes[symbol->rank].time_ns : symbol->rank;
}

static int find_uses(struct split *split)
{
	split->n_uses = 0;
	for (uint32_t i = 0; i < split->table->n && split->n_uses < MAX_USES; i++) {
		const struct symbol *symbol = &split->table->symbols[i];
		for (size_t at = first_place_at(split, symbol->start);
		     at < split->n_places && split->places[at].svma < symbol->end; at++) {
			struct use *use =
				CP_ARRAY_PUSH(split->uses, split->n_uses, split->cap_uses);
			if (!use)
				return -ENOMEM;
			*use = (struct use){.place = (uint32_t)at,
					    .symbol = i,
					    .time_ns = time_of(split, symbol),
					    .rank = symbol->rank};
		}
	}
	if (split->n_uses > 0)
		qsort(split->uses, split->n_uses, sizeof(*split->uses), compare_uses);
	return 0;
}

/* Recompiled code has other lines under the same name; in a map there are but names. */
static bool differ(const struct split *split, const struct use *a, const struct use *b)
{
	const struct symbol *symbols = split->table->symbols;
	return split->dump || strcmp(symbols[a->symbol].name, symbols[b->symbol].name) != 0;
}

/* Return: how many places had several functions; only those have uses from here on. */
static size_t count_shared(struct split *split)
{
	size_t n = 0;
	for (size_t i = 0; i < split->n_uses;) {
		size_t end = i + 1;
		bool shared = false;
		while (end < split->n_uses && split->uses[end].place == split->uses[i].place)
			shared |= differ(split, &split->uses[i], &split->uses[end++]);
		if (shared) {
			struct place *place = &split->places[split->uses[i].place];
			place->first_use = i;
			place->n_uses = end - i;
			n++;
		}
		i = end;
	}
	return n;
}

/* The location that stands for one use of a place. Return: 0, -ENOMEM, -EOVERFLOW. */
static int make_location(struct split *split, struct use *use)
{
	struct profile *profile = split->profile;
	const struct symbol *symbol = &split->table->symbols[use->symbol];
	const uint64_t svma = split->places[use->place].svma;
	struct symbol_frame frame;
	struct profile_function function = {.start_line = 0};
	module_id module = {0};
	location_id location = {0};
	jitdump_tell(split->dump, symbol, svma, &frame);
	const struct profile_module part = {.path = profile->modules[split->module.v].path,
					    .svma_start = symbol->start,
					    .svma_end = symbol->end,
					    .file_off = (uint64_t)symbol->rank + 1,
					    .has_functions = true,
					    .has_filenames = frame.file[0],
					    .has_lines = frame.line != 0};
	int rc = profile_add_module(profile, &part, &module);
	if (rc == 0)
		rc = profile_add_location(profile, module, svma, &location);
	if (rc == 0)
		rc = profile_string(profile, frame.name, &function.name);
	function.system_name = function.name;
	if (rc == 0)
		rc = profile_string(profile, frame.file, &function.file);
	struct profile_line line = {.line = frame.line};
	if (rc == 0)
		rc = profile_add_function(profile, &function, &line.function);
	if (rc == 0)
		rc = profile_set_lines(profile, location, &line, 1);
	if (rc == 0)
		use->location = location.v + 1;
	return rc;
}

/* @until_ns: when the sample was taken at the latest. */
static int choose(struct split *split, const struct place *place, uint64_t until_ns,
		  location_id *out)
{
	/* code may have been replaced there a million times */
	size_t low = place->first_use, high = low + place->n_uses;
	while (high - low > 1) {
		const size_t middle = low + (high - low) / 2;
		if (split->uses[middle].time_ns <= until_ns)
			low = middle;
		else
			high = middle;
	}
	struct use *use = &split->uses[low];
	*out = place->location;
	/* what shows at the end is looked up as any other address */
	if (symbol_table_find(split->table, place->svma) == &split->table->symbols[use->symbol])
		return 0;
	const int rc = use->location ? 0 : make_location(split, use);
	if (rc == 0)
		*out = (location_id){use->location - 1};
	return rc;
}

static const struct place *place_of(const struct split *split, location_id location)
{
	const uint32_t number = split->place_of[location.v];
	return number && split->places[number - 1].n_uses > 0 ? &split->places[number - 1] : NULL;
}

static int rewrite_stack(struct split *split, struct profile_sample_key *key)
{
	struct profile *profile = split->profile;
	const uint64_t until_ns = split->start_ns + (uint64_t)key->time_ns + split->quantum_ns - 1;
	const size_t depth = stack_store_depth(&profile->stacks, key->stack);
	bool changed = false;
	stack_id at = key->stack;
	location_id *frames =
		cp_array_reserve(split->stack, &split->cap_stack, depth, sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	split->stack = frames;
	for (size_t i = 0; i < depth; i++) {
		frames[i] = stack_store_leaf(&profile->stacks, at);
		at = stack_store_parent(&profile->stacks, at);
	}
	/* the table by location is of those there were before */
	for (size_t i = 0; i < depth; i++) {
		const location_id before = frames[i];
		const struct place *place = place_of(split, before);
		const int rc = place ? choose(split, place, until_ns, &frames[i]) : 0;
		if (rc < 0)
			return rc;
		changed |= frames[i].v != before.v;
	}
	split->changed |= changed;
	return changed ? stack_store_intern(&profile->stacks, frames, depth, &key->stack) : 0;
}

/* By stack: whether a shared place is in it. Parents are made before children. */
static bool *find_stacks(const struct split *split)
{
	const struct stack_store *stacks = &split->profile->stacks;
	bool *has = calloc(stacks->n + 1, sizeof(*has));
	for (uint32_t i = 1; has && i < stacks->n; i++)
		has[i] = has[stacks->nodes[i].parent.v] ||
			 place_of(split, stacks->nodes[i].location) != NULL;
	return has;
}

/* Return: 0; 1: some samples have no time; -ENOMEM, -EOVERFLOW. */
static int rewrite_samples(struct split *split)
{
	struct profile *profile = split->profile;
	CP_CLEANUP(cp_free) uint32_t *places = calloc(profile->n_locations + 1, sizeof(*places));
	split->place_of = places;
	for (size_t i = 0; places && i < split->n_places; i++)
		places[split->places[i].location.v] = (uint32_t)i + 1;
	CP_CLEANUP(cp_free) bool *has = places ? find_stacks(split) : NULL;
	int rc = has ? 0 : -ENOMEM;
	bool timeless = false;
	for (size_t i = 0; i < profile->n_samples && rc == 0; i++) {
		struct profile_sample_key *key = &profile->samples[i];
		if (!has[key->stack.v])
			continue;
		if (key->time_ns < 0)
			timeless = true;
		else
			rc = rewrite_stack(split, key);
	}
	split->place_of = NULL;
	return rc < 0 ? rc : timeless;
}

static int note(struct split *split, size_t n, const char *why)
{
	struct jit_times *times = split->times;
	struct jit_times_note *added = CP_ARRAY_PUSH(times->notes, times->n, times->cap);
	if (!added)
		return -ENOMEM;
	*added = (struct jit_times_note){split->profile->modules[split->module.v].path, n, why};
	return 0;
}

static int split_table(struct split *split)
{
	int rc = find_uses(split);
	const size_t n = rc == 0 ? count_shared(split) : 0;
	if (n == 0)
		return rc;
	if (!split->dump)
		return note(split, n, "a perf map has no times (a jitdump has)");
	if (!split->dump->monotonic)
		return note(split, n, "the times in its jitdump are of another clock");
	rc = split->quantum_ns && split->start_ns ? rewrite_samples(split) : 1;
	return rc > 0 ? note(split, n, "it was recorded with --no-timeline") : rc;
}

static int split_dump(struct split *split, const char *path)
{
	struct jitdump dump;
	int rc = jitdump_read(&dump, path, NULL);
	if (rc < 0)
		return rc;
	split->dump = &dump;
	split->table = &dump.table;
	rc = split_table(split);
	split->dump = NULL;
	split->table = NULL;
	jitdump_deinit(&dump);
	return rc;
}

static int split_map(struct split *split, const char *path)
{
	struct perf_map map;
	int rc = perf_map_read(&map, path, NULL);
	if (rc < 0)
		return rc;
	split->table = &map.table;
	rc = split_table(split);
	split->table = NULL;
	perf_map_deinit(&map);
	return rc;
}

static int split_process(struct split *split, const struct jit_files *files, pid_t pid)
{
	char path[PATH_MAX];
	int rc = find_places(split);
	if (rc < 0 || split->n_places == 0)
		return rc;
	rc = -ENOENT;
	if (jit_files_find(files, pid, JIT_FILE_DUMP, path, sizeof(path)) == 0)
		rc = split_dump(split, path);
	/* a dump that cannot be read is no reason to stop: the look-up says so */
	if (rc < 0 && rc != -ENOMEM && rc != -EOVERFLOW &&
	    jit_files_find(files, pid, JIT_FILE_MAP, path, sizeof(path)) == 0)
		rc = split_map(split, path);
	return rc == -ENOMEM || rc == -EOVERFLOW ? rc : 0;
}

int jit_times_split(struct profile *profile, const struct jit_files *files, struct jit_times *times)
{
	struct split split = {
		.profile = profile,
		.times = times,
		.start_ns = profile_header_u64(profile, HEADER_TIME_START_NS, 0),
		.quantum_ns = profile_header_u64(profile, HEADER_TIME_QUANTUM_NS, 0),
	};
	int rc = 0;
	const size_t n_modules = profile->n_modules; /* not those that are made here */
	for (uint32_t i = 0; i < n_modules && rc == 0; i++) {
		pid_t pid;
		split.module = (module_id){i};
		if (is_whole(&profile->modules[i]) &&
		    jit_code_process(profile_text(profile, profile->modules[i].path), &pid))
			rc = split_process(&split, files, pid);
	}
	free(split.places);
	free(split.uses);
	free(split.stack);
	/* the index of samples is by what they were */
	return rc == 0 && split.changed ? profile_coarsen(profile, 1) : rc;
}

int jit_times_tell(const struct jit_times *times, struct profile *profile)
{
	int rc = 0;
	for (size_t i = 0; i < times->n && rc == 0; i++) {
		const struct jit_times_note *told = &times->notes[i];
		char key[128], text[256];
		snprintf(key, sizeof(key), "%s%s", SYMBOLIZER_REASON_PREFIX,
			 profile_text(profile, told->path));
		const char *reason = profile_header_get(profile, key);
		if (reason && reason[0])
			continue;
		snprintf(text, sizeof(text),
			 "%zu of its addresses held several functions one after another, and "
			 "samples are given to the last: %s",
			 told->n, told->why);
		rc = profile_header_set(profile, key, text);
	}
	return rc;
}
