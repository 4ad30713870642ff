/*
 * answer_file.h - answers on disk: the bytes of one entry of the cache.
 *
 *     header | files | answers, ascending | frames | text
 *
 * Fixed-size records in this machine's byte order, so that the file is read and used as it is.
 * A checksum covers all of it; behind that every index is checked nevertheless, since the checksum
 * says that the bytes are those that were written, not that they make sense.
 *
 * Depends on: base, answer_table, zlib (crc32). Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_ANSWER_FILE_H
#define CPROF_SYMBOLIZER_ANSWER_FILE_H

#include "answer_table.h"

#include <sys/stat.h>

/* Of the format, and of the answers: a change that names or places anything otherwise counts too.
 */
enum { ANSWER_FILE_VERSION = 2, ANSWER_FILE_MAX_INPUTS = 16 };

/*
 * A file that answers came from, and what it was then. The time is that of its change, which
 * nobody can set: that of its modification is put back by cp -p, tar, rsync and package managers.
 */
struct answer_input {
	uint64_t device, inode, size;
	int64_t ctime_s;
	uint32_t ctime_ns;
	uint32_t path; /* offset in the text */
};

struct answer_file {
	void *bytes; /* owned */
	size_t size;
	const char *key;
	const struct answer_input *inputs;
	size_t n_inputs;
	struct answer_table table; /* over the bytes */
};

/** What an open or named file is now. */
struct answer_input answer_input_of(const struct stat *st);

/** True when both are the same file with the same contents, as far as stat() tells. */
bool answer_input_equal(const struct answer_input *a, const struct answer_input *b);

/**
 * Read a file and check it.
 *
 * @fd: of a regular file
 * Return: 0; -EBADMSG: damaged, or of another version; other -errno.
 */
int answer_file_open(int fd, struct answer_file *out);
void answer_file_close(struct answer_file *file);

/**
 * Write the union of some tables.
 *
 * @key:    what the file is for; compared by the reader
 * @paths:  of @inputs, n_inputs of them
 * @tables: of those with an answer for one address the first counts
 * @max_bytes: no larger file is written
 * Return: 0; -EFBIG; -ENOMEM; other -errno of write().
 */
int answer_file_write(int fd, const char *key, const struct answer_input *inputs,
		      const char *const *paths, size_t n_inputs,
		      const struct answer_table *const *tables, size_t n_tables,
		      uint64_t max_bytes);

#endif
