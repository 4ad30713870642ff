/*
 * pprof_file.h - profiles as gzipped profile.proto (pprof) files.
 *
 * Protobuf messages concatenate by merging and gzip members concatenate, so a recording appends
 * one gzip member per flush that holds only what is new, and the file is a valid profile after
 * every append. A normal end rewrites it into one member (speedscope reads only the first).
 * Values of the model that pprof has no field for travel as labels and comments; README.md of
 * this folder has the mapping.
 *
 * The functions are in pprof_writer.c, pprof_save.c and pprof_load.c. Writing may raise SIGXFSZ and
 * SIGPIPE: a program that wants the error instead ignores them.
 *
 * Depends on: base, profile.h, zlib, protobuf-c. Threads: one at a time per object.
 */
#ifndef CPROF_PROFILE_PPROF_FILE_H
#define CPROF_PROFILE_PPROF_FILE_H

#include "profile.h"

struct pprof_writer;

/**
 * Start a recording's file. An existing regular file is renamed to "PATH.old" first; a device or a
 * pipe is written to as it is.
 *
 * @path: copied; "-" = standard output
 * Return: 0 or -errno with a message; nothing is left behind on failure.
 */
int pprof_writer_create(const char *path, struct pprof_writer **out, struct cp_err *err);

/** Close without writing anything more. NULL is accepted. */
void pprof_writer_destroy(struct pprof_writer *writer);

/**
 * Append one gzip member with everything in @profile that was not written yet: strings, modules,
 * functions, locations, changed header entries, duration, and *all* its samples, which the caller
 * clears afterwards.
 *
 * One write; after a short or failed one the file is cut back to its last whole member and the
 * same data can be flushed again later.
 *
 * Return: 0 or -errno with a message (-ENOSPC: disk full; what was written before is valid).
 */
int pprof_writer_flush(struct pprof_writer *writer, const struct profile *profile,
		       struct cp_err *err);

/** Bytes of the file, all members. */
uint64_t pprof_writer_size_bytes(const struct pprof_writer *writer);

/** Samples in the file, all members. */
uint64_t pprof_writer_samples(const struct pprof_writer *writer);

/**
 * Keep the file bounded: replace it by one whose timeline has the coarser @quantum_ns, in one
 * member (temporary file, rename). @profile's ids stay valid for later flushes; its samples are
 * not written by this.
 *
 * @quantum_ns: as for profile_coarsen()
 * Return: 0 or -errno with a message; the old file is then still in place. -EOPNOTSUPP: it is a
 *         device or a pipe.
 */
int pprof_writer_compact(struct pprof_writer *writer, const struct profile *profile,
			 int64_t quantum_ns, struct cp_err *err);

/**
 * The same in a child process. Until it has ended nothing may be flushed; @profile may grow.
 *
 * Return: 0 or -errno with a message, as pprof_writer_compact().
 */
int pprof_writer_compact_begin(struct pprof_writer *writer, const struct profile *profile,
			       int64_t quantum_ns, struct cp_err *err);

/** True between pprof_writer_compact_begin() and the end, whatever it is. */
bool pprof_writer_is_compacting(const struct pprof_writer *writer);

/**
 * Put the new file in place when it is complete.
 *
 * @wait: for that
 * Return: 1: done; 0: not yet; -errno with a message: the old file is still in place.
 */
int pprof_writer_compact_poll(struct pprof_writer *writer, bool wait, struct cp_err *err);

/** Give up: the old file stays. */
void pprof_writer_compact_stop(struct pprof_writer *writer);

/** CPU time and memory that such children have taken: the sum, the most. */
uint64_t pprof_writer_helper_cpu_ns(const struct pprof_writer *writer);
uint64_t pprof_writer_helper_peak_rss_bytes(const struct pprof_writer *writer);

/**
 * Write a whole profile as one gzip member: to a temporary file beside @path, fsync, rename.
 * Mode and, where permitted, owner of an existing file are kept.
 *
 * @path: "-" = standard output; that, devices and pipes are written to directly
 * Return: 0 or -errno with a message; an existing file is then untouched.
 */
int pprof_save(const struct profile *profile, const char *path, struct cp_err *err);

struct pprof_load_info {
	uint64_t torn_bytes; /* at the end of the file that belong to no whole member; 0 = sound */
	uint64_t unknown_labels; /* labels of foreign profiles that the model does not keep */
	size_t members;          /* whole ones; 1 when uncompressed */
};

/**
 * Read a profile: gzip (any number of members) or bare protobuf, ours or another producer's.
 * Everything in the file is validated; a torn tail after at least one whole member is accepted.
 *
 * @path: "-" = standard input
 * @info: may be NULL
 * Return: 0; -ENOENT and other open errors; -EBADMSG: not a profile, or damaged (the message
 *         says where); -E2BIG: expands to more than the limit; -ENOMEM.
 */
int pprof_load(const char *path, struct profile **out, struct pprof_load_info *info,
	       struct cp_err *err);

/** The same from memory, for tests and fuzzing. */
int pprof_load_bytes(const void *bytes, size_t n, struct profile **out,
		     struct pprof_load_info *info, struct cp_err *err);

#endif
