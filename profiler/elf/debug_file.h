/*
 * debug_file.h - find the file that holds a binary's debug information.
 *
 * Distributions strip binaries and ship their DWARF apart; three conventions say where: a
 * directory tree by build-id, the .gnu_debuglink name, and the binary's own path below a debug
 * directory. A candidate counts only when it proves to belong to the binary: by an equal
 * build-id, or, where the binary has none, by the CRC that the debug link states.
 *
 * Depends on: base, elf_image.h (types), libelf, zlib (crc32). Threads: any.
 */
#ifndef CPROF_ELF_DEBUG_FILE_H
#define CPROF_ELF_DEBUG_FILE_H

#include "elf_image.h"

#include <libelf.h>

struct debug_file_search {
	const char *path; /* of the binary, as the target sees it */
	const char *root; /* "/proc/PID/root", looked below first; NULL = no */
	int binary_fd;    /* never returned as its own debug file; -1 = not open */
	const struct elf_build_id *build_id; /* n = 0: none */
	const char *link;                    /* name in .gnu_debuglink, or NULL */
	uint32_t link_crc;                   /* CRC32 of the whole debug file */
	uint64_t crc_bytes_max;              /* larger files do not match by CRC; 0 = no limit */
	const char *const *dirs;             /* --debug-dir, before /usr/lib/debug */
	size_t n_dirs;
	/*
	 * The last resort, or NULL: bring the debug file of a build-id from elsewhere.
	 * Return: its path, which the caller frees; NULL: there is none.
	 */
	char *(*fetch)(void *ctx, const struct elf_build_id *id);
	void *fetch_ctx;
};

struct debug_file {
	int fd;
	char *path;
};

#define DEBUG_FILE_EMPTY ((struct debug_file){.fd = -1})

void debug_file_deinit(struct debug_file *file);

/**
 * Find a binary's separate debug file.
 *
 * Order: by build-id below each directory, then by .gnu_debuglink (next to the binary, .debug/,
 * the binary's directory below each debug directory), then by path below each debug directory,
 * then by @search->fetch.
 *
 * @out: filled on success; the caller owns it
 * Return: 0; -ENOENT: none; -ESTALE: only files of another build: @out->path names the first
 *         (fd -1, the caller owns it too); -ENOMEM.
 */
int debug_file_find(const struct debug_file_search *search, struct debug_file *out);

/**
 * Find the file of shared debug information (dwz) that a debug file refers to.
 *
 * @search:     root, dirs and fetch are used
 * @debug_path: path of the file that has the .gnu_debugaltlink: relative names start there
 * @alt_name:   the name in .gnu_debugaltlink
 * @alt_id:     the build-id there; must match
 * Return: as debug_file_find().
 */
int debug_file_find_alt(const struct debug_file_search *search, const char *debug_path,
			const char *alt_name, const struct elf_build_id *alt_id,
			struct debug_file *out);

/**
 * The GNU build-id of an ELF file: from its note sections, else its note segments.
 *
 * Sections come first: in a separate debug file the program headers are copies that point at
 * contents which are no longer there.
 * Return: false when it has none, or an unusable one (@out->n = 0).
 */
bool debug_file_build_id(Elf *elf, struct elf_build_id *out);

/**
 * The same of the file at a path.
 *
 * Return: 0 (@out->n = 0: it has none); -ENOEXEC: no ELF file; -errno of opening.
 */
int debug_file_read_build_id(const char *path, struct elf_build_id *out);

/** The same in the bytes of a note section, as /sys/kernel/notes gives them. */
bool debug_file_build_id_in_notes(const void *bytes, size_t n, struct elf_build_id *out);

/** A hex build-id, as profiles hold it, into bytes. Return: false when it is not valid hex. */
bool debug_file_parse_build_id(const char *hex, struct elf_build_id *out);

#endif
