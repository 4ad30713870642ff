#include "flame_entries.h"

#include "base/array.h"
#include "flame_palette.h"
#include "safe_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int flame_entries_init(struct flame_entries *entries, size_t max_chars)
{
	*entries = (struct flame_entries){.max_chars = max_chars};
	entries->scratch = malloc(4 * max_chars + 1);
	if (entries->scratch && interner_init(&entries->strings) == 0)
		return 0;
	free(entries->scratch);
	entries->scratch = NULL;
	return -ENOMEM;
}

void flame_entries_deinit(struct flame_entries *entries)
{
	interner_deinit(&entries->strings);
	cp_index_deinit(&entries->index);
	free(entries->entries);
	free(entries->scratch);
	*entries = (struct flame_entries){0};
}

static bool entry_equal(const void *key, const void *owner, uint32_t id)
{
	const struct flame_entry *a = key;
	const struct flame_entry *b = &((const struct flame_entries *)owner)->entries[id];
	return a->name.v == b->name.v && a->file.v == b->file.v && a->module.v == b->module.v &&
	       a->class == b->class;
}

static int add_string(struct flame_entries *entries, const char *text, string_id *out, size_t *cost)
{
	size_t known = entries->strings.n;
	safe_text_copy(text, entries->max_chars, entries->scratch);
	int rc = interner_add(&entries->strings, entries->scratch, out);
	if (!rc && entries->strings.n > known)
		*cost += safe_text_json_size(entries->scratch) + 1;
	return rc;
}

static int add_entry(struct flame_entries *entries, const struct flame_entry *entry, uint32_t *out,
		     size_t *cost)
{
	uint64_t hash = cp_hash_mix(entry->name.v, entry->file.v);
	hash = cp_hash_mix(hash, (uint64_t)entry->module.v << 8 | entry->class);
	*out = cp_index_find(&entries->index, hash, entry_equal, entry, entries);
	if (*out != CP_INDEX_NONE)
		return 0;
	struct flame_entry *added = CP_ARRAY_PUSH(entries->entries, entries->n, entries->cap);
	if (!added)
		return -ENOMEM;
	*added = *entry;
	*out = (uint32_t)(entries->n - 1);
	*cost += flame_entries_digits(entry->name.v) + flame_entries_digits(entry->file.v) +
		 flame_entries_digits(entry->module.v) + flame_entries_digits(entry->class) + 4;
	return cp_index_add(&entries->index, hash, *out);
}

int flame_entries_add(struct flame_entries *entries, const struct flame_tree *tree,
		      const struct flame_node *node, uint32_t *out, size_t *cost)
{
	const char *name = flame_tree_name(tree, node);
	const char *file = "", *module = "";
	enum flame_family family = FLAME_PLAIN;
	if (node->kind == FLAME_KIND_FRAME) {
		const struct frame *frame = frames_get(tree->frames, node->frame);
		file = frames_text(tree->frames, frame->file);
		module = frames_text(tree->frames, frame->module);
		/* what stands for something else than code has the name of its module */
		family = frame->symbolized && module[0] == '[' && strcmp(name, module) == 0
				 ? FLAME_PLAIN
				 : flame_palette_family(frame);
	}
	struct flame_entry entry = {.class = flame_palette_class(family, name)};
	int rc = add_string(entries, name, &entry.name, cost);
	if (!rc)
		rc = add_string(entries, file, &entry.file, cost);
	if (!rc)
		rc = add_string(entries, module, &entry.module, cost);
	return rc ? rc : add_entry(entries, &entry, out, cost);
}
