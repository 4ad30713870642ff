#include "heap_missing.h"

#include "base/cleanup.h"
#include "base/index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finder {
	const struct profile *profile;
	struct heap_missing_list *list;
	struct cp_index index; /* over the list: binaries by path and build-id */
	uint32_t *by_module;
};

static bool same_binary(const void *key, const void *owner, uint32_t id)
{
	const struct finder *finder = owner;
	const struct profile_module *module = key;
	const struct heap_missing *other = &finder->list->items[id];
	/* texts of one profile are each there once */
	return other->path == profile_text(finder->profile, module->path) &&
	       other->build_id == profile_text(finder->profile, module->build_id);
}

/* A library that was unloaded and loaded again is several modules. */
static int list_binaries(struct finder *finder)
{
	const struct profile *profile = finder->profile;
	for (size_t i = 0; i < profile->n_modules; i++) {
		const struct profile_module *module = &profile->modules[i];
		const uint64_t hash = cp_hash_mix(module->path.v, module->build_id.v);
		uint32_t id = cp_index_find(&finder->index, hash, same_binary, module, finder);
		if (id == CP_INDEX_NONE) {
			id = (uint32_t)finder->list->n;
			if (cp_index_add(&finder->index, hash, id))
				return -ENOMEM;
			finder->list->items[finder->list->n++] = (struct heap_missing){
				.path = profile_text(profile, module->path),
				.build_id = profile_text(profile, module->build_id),
			};
		}
		finder->by_module[i] = id;
	}
	return 0;
}

static void count_addresses(struct finder *finder, const struct frames *frames)
{
	const struct profile *profile = finder->profile;
	for (size_t i = 0; i < profile->n_locations; i++) {
		size_t n;
		const frame_id *of = frames_of_location(frames, (location_id){(uint32_t)i}, &n);
		struct heap_missing *binary =
			&finder->list->items[finder->by_module[profile->locations[i].module.v]];
		binary->addresses++;
		binary->named += frames_get(frames, of[0])->symbolized;
	}
}

static int find_reason(const struct profile *profile, struct heap_missing *binary)
{
	CP_CLEANUP(cp_free) char *key = NULL;
	if (asprintf(&key, "symbols.%s", binary->path) < 0) {
		key = NULL;
		return -ENOMEM;
	}
	binary->reason = profile_header_get(profile, key);
	return 0;
}

/* Only those that lack something, and of which something is in the stacks. */
static int keep_lacking(struct finder *finder)
{
	struct heap_missing_list *list = finder->list;
	size_t kept = 0;
	for (size_t i = 0; i < list->n; i++) {
		struct heap_missing *binary = &list->items[i];
		if (find_reason(finder->profile, binary))
			return -ENOMEM;
		const bool unnamed = binary->path[0] == '/' && binary->named < binary->addresses;
		if (binary->addresses && (binary->reason || unnamed))
			list->items[kept++] = *binary;
	}
	list->n = kept;
	return 0;
}

static int most_unnamed_first(const void *left, const void *right)
{
	const struct heap_missing *a = left, *b = right;
	const size_t unnamed_a = a->addresses - a->named, unnamed_b = b->addresses - b->named;
	if (unnamed_a != unnamed_b)
		return unnamed_a > unnamed_b ? -1 : 1;
	return strcmp(a->path, b->path);
}

static void ask(struct heap_missing_list *list, const struct remedy_source *remedies)
{
	struct remedy_request requests[HEAP_MISSING_REMEDIES] = {0};
	struct remedy_note note;
	const size_t n = list->n < HEAP_MISSING_REMEDIES ? list->n : HEAP_MISSING_REMEDIES;
	for (size_t i = 0; i < n; i++) {
		requests[i].path = list->items[i].path;
		requests[i].build_id = list->items[i].build_id;
		requests[i].has_functions = list->items[i].named > 0;
	}
	if (n == 0)
		return;
	remedy_find(remedies, requests, n, &note);
	for (size_t i = 0; i < n; i++)
		list->items[i].remedy = requests[i].remedy;
	list->note = note.text;
	list->command = note.command;
}

int heap_missing_find(const struct heap_analysis *analysis, const struct remedy_source *remedies,
		      struct heap_missing_list *out)
{
	const struct profile *profile = analysis->input->profile;
	*out = (struct heap_missing_list){
		.items = calloc(profile->n_modules + 1, sizeof(*out->items))};
	struct finder finder = {
		.profile = profile,
		.list = out,
		.by_module = calloc(profile->n_modules + 1, sizeof(*finder.by_module)),
	};
	int rc = out->items && finder.by_module ? list_binaries(&finder) : -ENOMEM;
	if (!rc) {
		count_addresses(&finder, analysis->frames);
		rc = keep_lacking(&finder);
	}
	free(finder.by_module);
	cp_index_deinit(&finder.index);
	if (rc)
		return rc;
	qsort(out->items, out->n, sizeof(*out->items), most_unnamed_first);
	if (remedies)
		ask(out, remedies);
	return 0;
}

void heap_missing_deinit(struct heap_missing_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->items[i].remedy);
	free(list->items);
	free(list->command);
	*list = (struct heap_missing_list){0};
}
