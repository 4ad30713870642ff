#include "frame_names.h"

#include <errno.h>
#include <string.h>

int frame_names_of_symbol(struct symbol_names *names, const struct symbol *symbol,
			  enum symbol_suffix suffix, struct symbol_frame *frame)
{
	const char *name = symbol_names_get(names, symbol, suffix);
	if (!name)
		return -ENOMEM;
	frame->name = name;
	frame->system_name = suffix == SYMBOL_SUFFIX_HIDDEN ? symbol_names_function(names, symbol)
							    : symbol->name;
	if (!frame->system_name)
		return -ENOMEM;
	return 0;
}

/*
 * Name a function of the DWARF that has no linkage name there: gcc writes none for functions of
 * local linkage, but their symbols tell overloads and the lambdas of one function apart. C's
 * symbols are not mangled and add nothing, unless the DWARF has an assembler alias for a linkage
 * name (glibc: __GI___libc_malloc): then the symbol is what people call it (malloc).
 */
static int name_function(const struct symbol_table *symbols, struct symbol_names *names,
			 uint64_t entry, struct symbol_frame *frame)
{
	const struct symbol *symbol = symbol_table_find(symbols, entry);
	bool mangled = symbol && symbol->name[0] == '_' &&
		       (symbol->name[1] == 'Z' || symbol->name[1] == 'R');
	bool alias = !strstr(frame->name, frame->system_name);
	if (!symbol || (frame->name[0] && !mangled && !alias))
		return 0;
	/* one that stays mangled is worth less than any other name */
	const char *name = symbol_names_get(names, symbol, SYMBOL_SUFFIX_HIDDEN);
	if (!name)
		return -ENOMEM;
	if (frame->name[0] && mangled && name[0] == '_' && name[1] == symbol->name[1])
		return 0;
	return frame_names_of_symbol(names, symbol, SYMBOL_SUFFIX_HIDDEN, frame);
}

/* Where whole programs are optimised, linkage names say which part or copy it is: "f.part.0". */
static int name_whole(struct symbol_names *names, struct symbol_frame *frame)
{
	const struct symbol stated = {.name = frame->system_name};
	const char *whole =
		strchr(stated.name, '.') ? symbol_names_function(names, &stated) : stated.name;
	if (!whole)
		return -ENOMEM;
	if (whole == stated.name)
		return 0;
	const char *name = symbol_names_demangled(names, whole);
	if (!name)
		return -ENOMEM;
	frame->system_name = whole;
	if (name != whole || !frame->name[0])
		frame->name = name;
	return 0;
}

int frame_names_complete(const struct symbol_table *symbols, struct symbol_names *names,
			 struct dwarf_chain *chain)
{
	for (size_t i = 0; i < chain->n; i++) {
		int rc = name_whole(names, &chain->frames[i]);
		if (rc < 0)
			return rc;
	}
	if (!chain->has_linkage) {
		int rc = name_function(symbols, names, chain->entry, &chain->frames[chain->n - 1]);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < chain->n; i++)
		if (!chain->frames[i].name[0])
			chain->frames[i].name = chain->frames[i].system_name = "[unnamed]";
	return 0;
}
