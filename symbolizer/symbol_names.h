/*
 * symbol_names.h - what people read for an ELF symbol.
 *
 * Depends on: base, demangle, symbol_table. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_SYMBOL_NAMES_H
#define CPROF_SYMBOLIZER_SYMBOL_NAMES_H

#include "base/interner.h"
#include "symbol_table.h"

/* Whether a name shows which copy of its function it is: ".constprop.0" demangles to "[clone ...]".
 * A hidden one is shown all the same where the name cannot be demangled without it. Parts of a
 * function (".cold", ".part.0") are never shown: they have its name. */
enum symbol_suffix { SYMBOL_SUFFIX_SHOWN, SYMBOL_SUFFIX_HIDDEN };

struct symbol_names {
	struct interner strings; /* also of others whose names must live as long */
	/* the last answer: sorted addresses ask for it again and again */
	const struct symbol *last;
	enum symbol_suffix last_suffix;
	const char *last_name;
};

/** Return: 0 or -ENOMEM (nothing to release). */
int symbol_names_init(struct symbol_names *names);
void symbol_names_deinit(struct symbol_names *names);

/**
 * Bytes of a name without what says that it is a part of its function: ".cold", ".part.0". @n: all
 * of its bytes
 */
size_t symbol_names_whole(const char *name, size_t n);

/**
 * A symbol's name as in the file, but that of its function: without ".cold", ".part.0", ".isra.0",
 * ".constprop.0", ".lto_priv.0", ".localalias", and without its version.
 *
 * Return: the name, borrowed from @names or the symbol, or NULL when out of memory.
 */
const char *symbol_names_function(struct symbol_names *names, const struct symbol *symbol);

/** A name demangled, or as it is: borrowed from @names or @name itself. NULL: out of memory. */
const char *symbol_names_demangled(struct symbol_names *names, const char *name);

/**
 * A symbol's name: demangled, "name@@VERSION" without its version, "_Z1fv@plt" as "f()@plt".
 *
 * Return: the name, borrowed from @names, or NULL when out of memory.
 */
const char *symbol_names_get(struct symbol_names *names, const struct symbol *symbol,
			     enum symbol_suffix suffix);

#endif
