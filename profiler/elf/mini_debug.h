/*
 * mini_debug.h - .gnu_debugdata: a symbol table that travels inside a stripped binary, compressed.
 *
 * Fedora and its relatives put the functions that stripping would have lost into an ELF file, that
 * through xz, and the result into this section (GDB manual, "MiniDebugInfo").
 *
 * Depends on: inflate.h, libelf. Threads: any.
 */
#ifndef CPROF_ELF_MINI_DEBUG_H
#define CPROF_ELF_MINI_DEBUG_H

#include <libelf.h>
#include <stdint.h>

/**
 * Read it.
 *
 * @out: an ELF file, as far as the section keeps what it promises; the caller frees it
 * Return: 0; -ENOENT: no such section; -EFBIG, -EBADMSG: damaged, or far larger than any that
 *         somebody would ship; -ENOMEM.
 */
int mini_debug_read(Elf *elf, uint8_t **out, uint64_t *n);

#endif
