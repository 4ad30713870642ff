/*
 * answer_cache.h - answers of earlier runs, one file per binary in a directory of the user's.
 *
 * An entry is used only when everything it came from is as it was: this program, libdw, the binary,
 * its debug file (device, inode, size, time of change). Whatever is wrong with an entry - damaged,
 * of another version, of files that changed - makes it as good as absent, and the next save
 * replaces it. Entries are written apart and renamed into place, so that processes at the same time
 * see whole ones; the last one counts.
 *
 * The directory is used only when it belongs to this user and nobody else may write to it. It is
 * kept below a bound by removing what was not used for the longest time.
 *
 * Depends on: base, answer_file, libdw (its version). Threads: any; one at a time per object.
 */
#ifndef CPROF_SYMBOLIZER_ANSWER_CACHE_H
#define CPROF_SYMBOLIZER_ANSWER_CACHE_H

#include "answer_file.h"

/* Of all entries together, and of one. */
#define ANSWER_CACHE_MAX_BYTES (512ULL << 20)
#define ANSWER_CACHE_MAX_ENTRY_BYTES (64ULL << 20)

struct answer_cache_key {
	const char *dir;      /* the cache's; absolute */
	const char *path;     /* of the binary, as the profile has it */
	const char *build_id; /* hex or "" */
	const char *root;     /* "/proc/PID/root", where files are looked for first; NULL = no */
};

/* An open file that answers came from. */
struct answer_origin {
	int fd;
	struct stat is; /* while it was sure to be what was read: it may be another by now */
};

/**
 * The user's directory: $XDG_CACHE_HOME/cprof, else $HOME/.cache/cprof.
 *
 * Return: false when neither is an absolute path, or it does not fit.
 */
bool answer_cache_default_dir(char *buf, size_t size);

/**
 * Read the entry of a binary.
 *
 * Return: 0; -ENOENT: none that can be used; -ENOMEM.
 */
int answer_cache_load(const struct answer_cache_key *key, struct answer_file *out);

/**
 * Write an entry; the directory is made when it is not there.
 *
 * @origins: the binary, its debug file
 * @tables:  of those with an answer for one address the first counts
 * Return: 0; -EFBIG: too large an entry; other -errno. Nobody needs to be told: it is slower
 *         without a cache, no worse.
 */
int answer_cache_save(const struct answer_cache_key *key, const struct answer_origin *origins,
		      size_t n_origins, const struct answer_table *const *tables, size_t n_tables);

/** Remove what was not used for the longest time until at most @max_bytes are left. */
void answer_cache_trim(const char *dir, uint64_t max_bytes);

#endif
