/*
 * binary_files.h - the files that what is known of one binary is spread over.
 *
 * The binary itself, its separate debug file, the symbols it carries compressed. Each is open only
 * when it proved to belong: by build-id, or by the CRC of the debug link.
 *
 * Depends on: base, elf. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_BINARY_FILES_H
#define CPROF_SYMBOLIZER_BINARY_FILES_H

#include "base/err.h"
#include "elf/debug_elf.h"
#include "elf/debug_file.h"
#include "elf/kept_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct binary_files {
	char *bytes;           /* of an image in memory; owned */
	struct debug_elf file; /* .elf = NULL: only the debug file is at hand */
	struct debug_elf debug;
	char *debug_path;
	struct debug_elf mini; /* .gnu_debugdata */
	uint8_t *mini_bytes;
	bool objects;             /* files that are not linked will do */
	struct Dwfl *laid_out[2]; /* what holds the binary, and its debug file, if they are such */
	char trouble[512];        /* with the search for a debug file: a sentence; "" = none */
};

/* Where a binary may be. */
struct binary_place {
	const char *path;
	const char *root;              /* of the target, looked below first; NULL = none */
	pid_t pid;                     /* that runs it, perhaps; 0 = none */
	const struct kept_files *kept; /* what a recording kept of it; NULL = nothing */
	bool objects;                  /* a file that is not linked will do */
};

void binary_files_init(struct binary_files *files);
void binary_files_deinit(struct binary_files *files);

/**
 * Open the binary at a path, below the target's root first; else what was kept of it, or what the
 * process has mapped.
 *
 * @wanted: its build-id; n = 0: any file will do
 * @found:  the one it has
 * @err:    the reason: a short sentence without the path
 * Return: 0; -ESTALE: another build; -ENOENT and other -errno: not readable, not an ELF program;
 *         -ENOMEM.
 */
int binary_files_open(struct binary_files *files, const struct binary_place *place,
		      const struct elf_build_id *wanted, struct elf_build_id *found,
		      struct cp_err *err);

/** Open an image in memory, which is copied. Return: as binary_files_open(). */
int binary_files_open_memory(struct binary_files *files, const void *bytes, size_t n,
			     const struct elf_build_id *wanted, struct elf_build_id *found,
			     struct cp_err *err);

/**
 * Find the separate debug file and open it.
 *
 * @search: the debug link is filled in here
 * Return: 0, also when there is none (files->debug.elf = NULL); -ENOMEM.
 */
int binary_files_find_debug(struct binary_files *files, struct debug_file_search *search);

/** Open what .gnu_debugdata holds. Return: 0, also when there is none; -ENOMEM. */
int binary_files_find_mini(struct binary_files *files);

/** True when a file was written to or truncated after it was opened: what it said may be wrong. */
bool binary_files_changed(const struct binary_files *files);

#endif
