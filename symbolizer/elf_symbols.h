/*
 * elf_symbols.h - function names from ELF symbol tables and PLT stubs.
 *
 * Depends on: base, libelf, symbol_table, code_ranges. Threads: immutable once sealed.
 */
#ifndef CPROF_SYMBOLIZER_ELF_SYMBOLS_H
#define CPROF_SYMBOLIZER_ELF_SYMBOLS_H

#include "code_ranges.h"
#include "symbol_table.h"

#include <libelf.h>

/**
 * Add the function symbols of a file's .symtab and .dynsym.
 *
 * Symbols without a type count too when they lie in code: assembly forgets the type. A symbol
 * without a size reaches at most to the end of its section.
 *
 * @code:  where the binary has code
 * @table: unsealed; the names in it are borrowed from @elf
 * @found: set when the file has a symbol table
 * Return: 0 or -ENOMEM. Damaged tables add what is readable.
 */
int elf_symbols_add(struct symbol_table *table, Elf *elf, const struct code_ranges *code,
		    bool *found);

/** The value of a defined symbol. Linear in the table. Return: false when there is none. */
bool elf_symbols_by_name(Elf *elf, const char *name, uint64_t *value);

#endif
