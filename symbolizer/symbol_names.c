#include "symbol_names.h"

#include "base/cleanup.h"
#include "demangle.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int symbol_names_init(struct symbol_names *names)
{
	*names = (struct symbol_names){.last = NULL};
	return interner_init(&names->strings);
}

void symbol_names_deinit(struct symbol_names *names)
{
	interner_deinit(&names->strings);
}

static const char *make_name(struct symbol_names *names, const char *symbol,
			     enum symbol_suffix suffix)
{
	size_t length = symbol[0] ? 1 + strcspn(symbol + 1, "@") : 0;
	const char *tail = strcmp(symbol + length, "@plt") == 0 ? "@plt" : "";
	size_t dot = strcspn(symbol, ".");
	bool cut = suffix == SYMBOL_SUFFIX_HIDDEN && dot < length;
	CP_CLEANUP(cp_free) char *bare = strndup(symbol, cut ? dot : length);
	CP_CLEANUP(cp_free) char *demangled = bare ? demangle(bare) : NULL;
	if (cut && bare && !demangled) {
		/* the dot may be inside of a name: gcc's coroutines have "17_Z7counterv.Frame" */
		CP_CLEANUP(cp_free) char *whole = strndup(symbol, length);
		demangled = whole ? demangle(whole) : NULL;
	}
	CP_CLEANUP(cp_free) char *name = NULL;
	string_id id;
	if (!bare)
		return NULL;
	if (asprintf(&name, "%s%s", demangled ? demangled : bare, tail) < 0) {
		name = NULL;
		return NULL;
	}
	return interner_add(&names->strings, name, &id) < 0 ? NULL
							    : interner_get(&names->strings, id);
}

const char *symbol_names_get(struct symbol_names *names, const struct symbol *symbol,
			     enum symbol_suffix suffix)
{
	if (symbol != names->last || suffix != names->last_suffix) {
		const char *name = make_name(names, symbol->name, suffix);
		if (!name)
			return NULL;
		names->last_name = name;
		names->last = symbol;
		names->last_suffix = suffix;
	}
	return names->last_name;
}
