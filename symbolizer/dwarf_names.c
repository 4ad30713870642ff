#include "dwarf_names.h"

#include "base/array.h"
#include "demangle.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* concrete instance -> abstract instance -> declaration, and some to spare */
enum { MAX_STEPS = 8 };

/* Of names put together from scopes: deeper or longer ones stay bare. */
enum { MAX_SCOPES = 32, MAX_NESTED_FUNCTIONS = 4, MAX_QUALIFIED_BYTES = 4096 };

void dwarf_names_init(struct dwarf_names *names, struct die_tables *tables)
{
	*names = (struct dwarf_names){.n = 0};
	dwarf_scopes_init(&names->scopes, tables);
}

void dwarf_names_deinit(struct dwarf_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i].made);
	free(names->names);
	cp_index_deinit(&names->index);
	dwarf_scopes_deinit(&names->scopes);
	*names = (struct dwarf_names){0};
}

static const char *string_attribute(Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	return dwarf_attr(die, attribute, &found) ? dwarf_formstring(&found) : NULL;
}

/* References into files that need not be at hand: shared ones (dwz), those of type units. */
static bool leads_elsewhere(unsigned int form)
{
	return form == DW_FORM_GNU_ref_alt || form == DW_FORM_ref_sup4 ||
	       form == DW_FORM_ref_sup8 || form == DW_FORM_ref_sig8;
}

/* Follow a reference in place. Return: false when there is none, or it leads nowhere. */
static bool follow(struct dwarf_names *names, Dwarf_Die *die, unsigned int attribute)
{
	Dwarf_Attribute found;
	Dwarf_Die target;
	if (!dwarf_attr(die, attribute, &found))
		return false;
	if (!dwarf_formref_die(&found, &target)) {
		if (!leads_elsewhere(dwarf_whatform(&found)))
			names->scopes.tables->damage |= DWARF_DAMAGE_ENTRIES;
		return false;
	}
	*die = target;
	return true;
}

static const char *scope_name(struct dwarf_names *names, Dwarf_Die *scope, const char *function)
{
	struct dwarf_name name;
	int tag = dwarf_tag(scope);
	if (tag == DW_TAG_subprogram)
		return dwarf_names_get(names, scope, &name) == 0 ? name.name : "";
	const char *plain = string_attribute(scope, DW_AT_name);
	if (plain)
		return plain;
	if (tag == DW_TAG_namespace)
		return "(anonymous namespace)";
	/* gcc's closure types have no name */
	return strcmp(function, "operator()") == 0 ? "{lambda}" : "{unnamed type}";
}

/*
 * "namespace::type::function" for a name found at @die.
 * Return: a new string, or NULL: no scopes, or out of memory.
 */
static char *qualify(struct dwarf_names *names, Dwarf_Die *die, const char *function)
{
	Dwarf_Die chain[MAX_SCOPES];
	char text[MAX_QUALIFIED_BYTES];
	size_t n, used = 0;
	if (names->depth >= MAX_NESTED_FUNCTIONS ||
	    dwarf_scopes_find(&names->scopes, die, chain, MAX_SCOPES, &n) < 0 || n == 0)
		return NULL;
	names->depth++;
	while (n-- > 0 && used < sizeof(text)) {
		const char *scope = scope_name(names, &chain[n], function);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", scope,
					 scope[0] ? "::" : "");
	}
	names->depth--;
	if (used < sizeof(text))
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", function);
	return used < sizeof(text) ? strdup(text) : NULL;
}

static bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static void describe(struct dwarf_names *names, Dwarf_Die die, struct dwarf_name *out)
{
	const char *linkage = NULL, *plain = NULL;
	Dwarf_Die named_at = die;
	for (int step = 0; step < MAX_STEPS; step++) {
		Dwarf_Attribute found;
		Dwarf_Word line;
		if (!linkage)
			linkage = string_attribute(&die, DW_AT_linkage_name);
		if (!linkage)
			linkage = string_attribute(&die, DW_AT_MIPS_linkage_name);
		if (!plain) {
			plain = string_attribute(&die, DW_AT_name);
			named_at = die;
		}
		if (out->decl_line == 0 && dwarf_attr(&die, DW_AT_decl_line, &found) &&
		    dwarf_formudata(&found, &line) == 0 && line <= UINT32_MAX)
			out->decl_line = (uint32_t)line;
		if (linkage && out->decl_line)
			break;
		if (!follow(names, &die, DW_AT_abstract_origin) &&
		    !follow(names, &die, DW_AT_specification))
			break;
	}
	/*
	 * Only a mangled one says more than the name. Others are assembler aliases, such as glibc's
	 * __GI___libc_malloc: they stay the system name, and the ELF file's symbols may know
	 * better.
	 */
	out->system_name = linkage && linkage[0] ? linkage : plain ? plain : "";
	if (linkage && is_mangled(linkage))
		out->made = demangle(linkage);
	/* one that cannot be demangled says nothing to people either */
	out->has_linkage = out->made != NULL;
	if (!out->made && plain && plain[0])
		out->made = qualify(names, &named_at, plain);
	out->name = out->made ? out->made : plain && plain[0] ? plain : out->system_name;
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
		follow(names, &origin, DW_AT_abstract_origin);
	uint64_t hash = cp_hash_mix((uintptr_t)origin.addr, 0);
	uint32_t id = cp_index_find(&names->index, hash, same_entry, origin.addr, names);
	if (id == CP_INDEX_NONE) {
		/* Described first: names of enclosing functions are added on the way. */
		struct dwarf_name described = {.entry = origin.addr};
		describe(names, origin, &described);
		struct dwarf_name *added =
			names->n >= CP_INDEX_NONE
				? NULL
				: CP_ARRAY_PUSH(names->names, names->n, names->cap);
		if (!added || cp_index_add(&names->index, hash, (uint32_t)(names->n - 1)) < 0) {
			names->n -= added != NULL;
			free(described.made);
			return -ENOMEM;
		}
		*added = described;
		id = (uint32_t)(names->n - 1);
	}
	*out = names->names[id];
	return 0;
}
