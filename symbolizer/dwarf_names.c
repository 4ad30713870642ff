#include "dwarf_names.h"

#include "base/array.h"
#include "demangle.h"

#include <dwarf.h>
#include <errno.h>

/* concrete instance -> abstract instance -> declaration, and some to spare */
enum { MAX_STEPS = 8 };

void dwarf_names_deinit(struct dwarf_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i].demangled);
	free(names->names);
	cp_index_deinit(&names->index);
	*names = (struct dwarf_names){0};
}

static const char *string_attribute(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	return dwarf_attr(die, attribute, &found) ? dwarf_formstring(&found) : NULL;
}

/* Follow a reference in place. Return: false when there is none, or it leads nowhere. */
static bool follow(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	Dwarf_Die target;
	if (!dwarf_attr(die, attribute, &found) || !dwarf_formref_die(&found, &target))
		return false;
	*die = target;
	return true;
}

static void describe(Dwarf_Die die, struct dwarf_name *out)
{
	const char *linkage = NULL, *plain = NULL;
	for (int step = 0; step < MAX_STEPS; step++) {
		Dwarf_Attribute found;
		Dwarf_Word line;
		if (!linkage)
			linkage = string_attribute(&die, DW_AT_linkage_name);
		if (!linkage)
			linkage = string_attribute(&die, DW_AT_MIPS_linkage_name);
		if (!plain)
			plain = string_attribute(&die, DW_AT_name);
		if (out->decl_line == 0 && dwarf_attr(&die, DW_AT_decl_line, &found) &&
		    dwarf_formudata(&found, &line) == 0 && line <= UINT32_MAX)
			out->decl_line = (uint32_t)line;
		if (linkage && out->decl_line)
			break;
		if (!follow(&die, DW_AT_abstract_origin) && !follow(&die, DW_AT_specification))
			break;
	}
	out->system_name = linkage && linkage[0] ? linkage : plain ? plain : "";
	out->demangled = demangle(out->system_name);
	out->name = out->demangled ? out->demangled : out->system_name;
}

static bool same_entry(const void *key, const void *owner, uint32_t id)
{
	return ((const struct dwarf_names *)owner)->names[id].entry == key;
}

int dwarf_names_get(struct dwarf_names *names, Dwarf_Die *die, struct dwarf_name *out)
{
	/* All inlined copies of a function have one origin; that is what to remember. */
	Dwarf_Die origin = *die;
	if (dwarf_tag(die) == DW_TAG_inlined_subroutine)
		follow(&origin, DW_AT_abstract_origin);
	uint64_t hash = cp_hash_mix((uintptr_t)origin.addr, 0);
	uint32_t id = cp_index_find(&names->index, hash, same_entry, origin.addr, names);
	if (id == CP_INDEX_NONE) {
		if (names->n >= CP_INDEX_NONE)
			return -ENOMEM;
		struct dwarf_name *added = CP_ARRAY_PUSH(names->names, names->n, names->cap);
		if (!added)
			return -ENOMEM;
		*added = (struct dwarf_name){.entry = origin.addr};
		describe(origin, added);
		id = (uint32_t)(names->n - 1);
		if (cp_index_add(&names->index, hash, id) < 0) {
			free(added->demangled);
			names->n--;
			return -ENOMEM;
		}
	}
	*out = names->names[id];
	return 0;
}
