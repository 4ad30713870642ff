/*
 * kept_files.h - binaries that a recording keeps open, so that they can be looked at afterwards.
 *
 * A program is upgraded while it is recorded, a build directory is cleaned, a container ends: when
 * the recording is over and names are looked up, the file at a module's path is gone or another
 * one. An open descriptor still is the file that ran.
 *
 * Bounded: each costs a descriptor, and the file system that it is on cannot be unmounted.
 *
 * Depends on: base, elf_image.h (types). Threads: adding is one thread's, before any opening;
 * opening is any thread's.
 */
#ifndef CPROF_ELF_KEPT_FILES_H
#define CPROF_ELF_KEPT_FILES_H

#include "elf_image.h"

struct kept_files;

/** Return: NULL when out of memory. */
struct kept_files *kept_files_create(void);
void kept_files_destroy(struct kept_files *files);

/** Whether there is room for one more. */
bool kept_files_has_room(const struct kept_files *files);

/**
 * Keep a file.
 *
 * @fd:   owned from here on, also when it is not kept
 * @path: as the profile has it
 * @id:   n = 0: none
 */
void kept_files_add(struct kept_files *files, int fd, const char *path,
		    const struct elf_build_id *id);

/**
 * Open what was kept of a module: by its build-id where it has one, else by its path.
 *
 * @files: may be NULL
 * Return: a descriptor of the caller's, or -ENOENT, -errno.
 */
int kept_files_open(const struct kept_files *files, const char *path,
		    const struct elf_build_id *id);

#endif
