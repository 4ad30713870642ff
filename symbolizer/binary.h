/*
 * binary.h - one binary, open for looking up addresses.
 *
 * Holds what was found for it: the file, its separate debug file, DWARF, ELF symbols. A file
 * whose build-id differs from the wanted one is never used. The binary may be gone as long as
 * its debug file is found by build-id.
 *
 * Depends on: base, elf (debug_file), libelf, libdw. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_BINARY_H
#define CPROF_SYMBOLIZER_BINARY_H

#include "base/err.h"
#include "symbol_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct binary;
struct debuginfod_query;
struct kept_files;

struct binary_options {
	const char *const *debug_dirs; /* --debug-dir */
	size_t n_debug_dirs;
	const struct kept_files *kept_files; /* used when the path has another file; NULL = none */
	struct debuginfod_query *debuginfod; /* asked when no file here will do; NULL = no */
	bool objects;                        /* also files that are not linked: object_file.h */
	pid_t root_pid; /* paths are tried below /proc/PID/root first; 0 = no */
};

/**
 * Open a binary and what belongs to it.
 *
 * @path:     as the profile has it
 * @build_id: lower-case hex, "" = unknown: any file at @path will do
 * @err:      the reason when nothing is usable: a short sentence without the path
 * Return: 0; -ESTALE: the file is another build; -ENOENT and other -errno: not readable, not an
 *         ELF file; -ENOMEM.
 */
int binary_open(const char *path, const char *build_id, const struct binary_options *options,
		struct binary **out, struct cp_err *err);

/** Open an image in memory: the vDSO. @bytes is copied. Return: as binary_open(). */
int binary_open_memory(const void *bytes, size_t n, const char *build_id, struct binary **out,
		       struct cp_err *err);

void binary_close(struct binary *binary);

/**
 * What is wanting (debug information, a symbol table) as a short sentence, or "". Borrowed until
 * the next call. That a split unit is of another build is known only after an address of it.
 */
const char *binary_shortcoming(struct binary *binary);

/**
 * True when a file was written to or truncated since it was opened: what was found may be wrong.
 */
bool binary_changed(const struct binary *binary);

/**
 * The open files that all answers come from.
 *
 * Return: how many; 0: something is missing, or answers come from files that are not among them.
 */
size_t binary_open_files(const struct binary *binary, int *fds, size_t max);

bool binary_has_functions(const struct binary *binary); /* any symbol table or DWARF */
bool binary_has_dwarf(const struct binary *binary);

/** The address of a symbol by its name, as the file has it. Return: false when there is none. */
bool binary_find_symbol(const struct binary *binary, const char *name, uint64_t *svma);

/** True when code of the binary lies in [@start, @end). */
bool binary_overlaps_code(const struct binary *binary, uint64_t start, uint64_t end);

/**
 * Which addresses are looked up fastest one after the other: those with the same number, as they
 * share a compilation unit, whose code may lie in several places.
 */
uint32_t binary_group(const struct binary *binary, uint64_t svma);

/**
 * The chain of calls at one address, which is looked up as it is.
 *
 * Addresses of one group in ascending order are fastest.
 *
 * @frames: innermost inlined call first, the function itself last; borrowed until the next call
 *          (the strings until binary_close())
 * Return: 0 or -ENOMEM. @n = 0: no function is known; frames[0] then has the file and the line all
 *         the same where the line table knows them, and the name "".
 */
int binary_find(struct binary *binary, uint64_t svma, const struct symbol_frame **frames,
		size_t *n);

#endif
