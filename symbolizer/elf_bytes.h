/*
 * elf_bytes.h - the bytes of an ELF file's section, found by name.
 *
 * Of a file that libdw has opened: compressed sections have been inflated by then.
 *
 * Depends on: libelf. Threads: as the Elf handle.
 */
#ifndef CPROF_SYMBOLIZER_ELF_BYTES_H
#define CPROF_SYMBOLIZER_ELF_BYTES_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_bytes {
	const uint8_t *bytes; /* NULL = no such section; borrowed from the Elf handle */
	size_t n;
};

/** @name: of the section, ".debug_line"; one called ".zdebug_line" is found too. */
struct elf_bytes elf_bytes_find(Elf *elf, const char *name);

/** Whether the file has bytes for such a section, also if they cannot be inflated. */
bool elf_bytes_exist(Elf *elf, const char *name);

/** The string at an offset, or NULL. */
const char *elf_bytes_string(const struct elf_bytes *section, uint64_t offset);

#endif
