/*
 * object_file.h - look up addresses of a file that is not linked yet (.o, .ko).
 *
 * Its debug information says where in their sections things are, by relocations. libdwfl lays the
 * sections out one after the other, the first at 0, and applies them: from then on it reads like a
 * program. An address within the first section of code is what addr2line takes it for, too.
 *
 * Depends on: elf (debug_elf), libdw (libdwfl). Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_OBJECT_FILE_H
#define CPROF_SYMBOLIZER_OBJECT_FILE_H

#include "elf/debug_elf.h"

#include <elfutils/libdwfl.h>

bool object_file_is(Elf *elf);

/**
 * Lay a file out and apply its relocations.
 *
 * @file: open; its Elf is another one afterwards
 * @out:  to be given to dwfl_end() after debug_elf_deinit()
 * Return: 0; -ENOEXEC: damaged; -ENOMEM.
 */
int object_file_lay_out(struct debug_elf *file, Dwfl **out);

#endif
