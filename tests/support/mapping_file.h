/*
 * mapping_file.h - what the kernel would say of a mapping of a file.
 *
 * Depends on: unwind. Threads: any.
 */
#ifndef CPROF_TESTS_MAPPING_FILE_H
#define CPROF_TESTS_MAPPING_FILE_H

#include "unwind/address_space.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/** @path: borrowed. */
static inline struct mapping_file mapping_file_of(const char *path, const struct stat *st)
{
	return (struct mapping_file){.path = path,
				     .dev_major = major(st->st_dev),
				     .dev_minor = minor(st->st_dev),
				     .inode = st->st_ino};
}

#endif
