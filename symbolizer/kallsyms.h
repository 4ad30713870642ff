/*
 * kallsyms.h - the running kernel's function names.
 *
 * Addresses in /proc/kallsyms are those of this boot: a profile of another boot or kernel cannot
 * be looked up there, and the caller must have made sure of that.
 *
 * Depends on: base, symbol_table. Threads: immutable once read.
 */
#ifndef CPROF_SYMBOLIZER_KALLSYMS_H
#define CPROF_SYMBOLIZER_KALLSYMS_H

#include "base/err.h"
#include "symbol_table.h"

struct kallsyms {
	struct symbol_table table;
	char *text; /* the file; names are in it */
};

/**
 * Read text symbols (t, T, w, W) of the kernel and its modules.
 *
 * @path: "/proc/kallsyms"
 * Return: 0; -EACCES: all addresses are hidden (kptr_restrict); -ENODATA: no symbols;
 *         -errno of reading; -ENOMEM. Nothing to release then.
 */
int kallsyms_read(struct kallsyms *kallsyms, const char *path, struct cp_err *err);
void kallsyms_deinit(struct kallsyms *kallsyms);

#endif
