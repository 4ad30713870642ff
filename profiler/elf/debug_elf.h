/*
 * debug_elf.h - an ELF file open for libelf and libdw, whatever is done to it meanwhile.
 *
 * The file is mapped (debug files of gigabytes must not be read into memory) and guarded: one that
 * is truncated under us gives zeros and a word instead of a SIGBUS. Where libelf cannot inflate its
 * debug sections, libdw gets an image in memory.
 *
 * Depends on: base, libelf, map_guard.h, zstd_image.h. Threads: one at a time.
 */
#ifndef CPROF_ELF_DEBUG_ELF_H
#define CPROF_ELF_DEBUG_ELF_H

#include "zstd_image.h"

#include <libelf.h>
#include <stdbool.h>
#include <sys/stat.h>

struct debug_elf {
	int fd;
	Elf *elf;            /* the file; NULL = not open */
	Elf *dwarf;          /* what libdw may read: the same, or an image; NULL = nothing */
	const char *trouble; /* why @dwarf is NULL: a short sentence, static; "" = no trouble */
	struct zstd_image image;
	int guard;
	struct stat opened; /* what the file was then */
};

#define DEBUG_ELF_EMPTY ((struct debug_elf){.fd = -1, .guard = -1, .trouble = ""})

/**
 * Open a file.
 *
 * @fd: owned by @out on success
 * Return: 0; -ENOEXEC: no ELF file; -ENOMEM. @out can be given to debug_elf_deinit() in any case.
 */
int debug_elf_open(int fd, struct debug_elf *out);

/** Open what is in memory already; borrowed until debug_elf_deinit(). Return: as above. */
int debug_elf_open_memory(void *bytes, size_t n, struct debug_elf *out);

void debug_elf_deinit(struct debug_elf *file);

/** True when somebody wrote to the file, or truncated it, after it was opened. */
bool debug_elf_changed(const struct debug_elf *file);

/**
 * True when that may have been done, even if it was hidden: cp -p and others put the time of
 * modification back. Also when the file was renamed, linked, unlinked.
 */
bool debug_elf_touched(const struct debug_elf *file);

#endif
