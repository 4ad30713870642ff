#include "symbol_names.h"

#include "base/cleanup.h"
#include "demangle.h"

#include <ctype.h>
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

static const char *const parts[] = {".cold", ".part", NULL};
static const char *const copies[] = {".cold",     ".part",       ".isra", ".constprop",
				     ".lto_priv", ".localalias", NULL};

static bool ends_with(const char *name, size_t n, const char *end)
{
	size_t length = strlen(end);
	return n > length && memcmp(name + n - length, end, length) == 0;
}

/* Bytes of a name without any of @endings, each with or without a number: ".part.0.cold". */
static size_t without(const char *name, size_t n, const char *const *endings)
{
	for (;;) {
		size_t bare = n;
		while (bare > 0 && isdigit((unsigned char)name[bare - 1]))
			bare--;
		bare = bare < n && bare > 0 && name[bare - 1] == '.' ? bare - 1 : n;
		size_t i = 0;
		while (endings[i] && !ends_with(name, bare, endings[i]))
			i++;
		if (!endings[i])
			return n;
		n = bare - strlen(endings[i]);
	}
}

size_t symbol_names_whole(const char *name, size_t n)
{
	return without(name, n, parts);
}

/* Bytes of a symbol without its version; one that begins with "@" has none. */
static size_t unversioned(const char *symbol)
{
	return symbol[0] ? 1 + strcspn(symbol + 1, "@") : 0;
}

const char *symbol_names_function(struct symbol_names *names, const struct symbol *symbol)
{
	size_t n = without(symbol->name, unversioned(symbol->name), copies);
	string_id id;
	if (!symbol->name[n])
		return symbol->name;
	return interner_add_bytes(&names->strings, symbol->name, n, &id) < 0
		       ? NULL
		       : interner_get(&names->strings, id);
}

const char *symbol_names_demangled(struct symbol_names *names, const char *name)
{
	CP_CLEANUP(cp_free) char *demangled = demangle(name);
	string_id id;
	if (!demangled)
		return name;
	return interner_add(&names->strings, demangled, &id) < 0
		       ? NULL
		       : interner_get(&names->strings, id);
}

static const char *make_name(struct symbol_names *names, const char *symbol,
			     enum symbol_suffix suffix)
{
	size_t version = unversioned(symbol), length = symbol_names_whole(symbol, version);
	const char *tail = strcmp(symbol + version, "@plt") == 0 ? "@plt" : "";
	size_t dot = 1 + strcspn(symbol + (symbol[0] != '\0'), ".");
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
