/*
 * elf_sections.h - find a section of a binary by name, and read its content, inflated.
 *
 * For the few sections that unwinding needs where the program headers do not lead to them; the
 * symbolizer reads sections through libelf. Every size in the file is a claim: a section's content
 * is bounded before memory is taken for it.
 *
 * Depends on: base, elf_source.h, inflate.h. Threads: any.
 */
#ifndef CPROF_ELF_ELF_SECTIONS_H
#define CPROF_ELF_ELF_SECTIONS_H

#include "elf_source.h"

#include <elf.h>

/* The index of a binary's sections that have content. */
struct elf_sections {
	Elf64_Shdr *headers; /* owned */
	char *names;         /* owned; ends with NUL */
	size_t n, n_names;
};

/**
 * Read the section headers.
 *
 * Return: 0, also for a file without (n = 0) or with damaged ones: a binary runs without them;
 *         -ENOMEM, -errno of reading.
 */
int elf_sections_read(const struct elf_source *source, const Elf64_Ehdr *ehdr,
		      struct elf_sections *out);
void elf_sections_deinit(struct elf_sections *sections);

/** The section of that name with content in the file. Return: borrowed, or NULL. */
const Elf64_Shdr *elf_sections_find(const struct elf_sections *sections, const char *name);

/**
 * Read a section's content; sections compressed by zlib (also the older .zdebug_*) or zstd are
 * inflated.
 *
 * @zdebug: the section is of the older form
 * @max:    of its content, inflated
 * @out:    the caller frees it
 * Return: 0; -EFBIG: larger than @max; -EBADMSG: damaged, or claims more than its compressed bytes
 *         can hold; -ENOTSUP: another compression; -ENOMEM; -errno of reading.
 */
int elf_section_read(const struct elf_source *source, const Elf64_Shdr *header, bool zdebug,
		     uint64_t max, uint8_t **out, uint64_t *n);

#endif
