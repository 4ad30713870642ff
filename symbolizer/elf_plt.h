/*
 * elf_plt.h - names for procedure linkage stubs: "memcpy@plt".
 *
 * Symbol tables do not name them. A stub jumps through a slot of the global offset table, and
 * the relocation of that slot names the function; that holds for .plt, .plt.sec, .plt.got and
 * for every linker's layout, so the stub's instructions are read instead of counting entries.
 *
 * Only x86-64. Depends on: base, libelf, symbol_table. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_ELF_PLT_H
#define CPROF_SYMBOLIZER_ELF_PLT_H

#include "base/interner.h"
#include "symbol_table.h"

#include <libelf.h>

/**
 * Add a symbol for each stub whose function is known.
 *
 * @names: owns the names that are made
 * Return: 0 or -ENOMEM. Other machines' files add nothing.
 */
int elf_plt_add(struct symbol_table *table, struct interner *names, Elf *elf);

#endif
