/*
 * frame_names.h - names of frames, from DWARF and the ELF symbols together.
 *
 * Depends on: dwarf_info, symbol_table, symbol_names. Threads: the owner's of all three.
 */
#ifndef CPROF_SYMBOLIZER_FRAME_NAMES_H
#define CPROF_SYMBOLIZER_FRAME_NAMES_H

#include "dwarf_info.h"
#include "symbol_names.h"
#include "symbol_table.h"

/** Name a frame after a symbol. Return: 0 or -ENOMEM. */
int frame_names_of_symbol(struct symbol_names *names, const struct symbol *symbol,
			  enum symbol_suffix suffix, struct symbol_frame *frame);

/**
 * Fill in the names that the DWARF lacks: it may miss its other half (dwz).
 *
 * @chain: of dwarf_info_find(), not empty
 * Return: 0 or -ENOMEM.
 */
int frame_names_complete(const struct symbol_table *symbols, struct symbol_names *names,
			 struct dwarf_chain *chain);

#endif
