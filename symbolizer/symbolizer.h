/*
 * symbolizer.h - give the locations of a profile their functions, files, lines and inline chains.
 *
 * Works on unique addresses, sorted, binary by binary: DWARF through libdw (from the binary or its
 * separate debug file), else ELF symbols, kallsyms for the kernel, perf maps for JIT code. Binaries
 * are looked up on several threads, and so are the addresses of one that has many; the outcome does
 * not depend on how many there are. A debug file whose build-id differs from the profile's is never
 * used.
 *
 * Depends on: base, elf, profile, libdw, libiberty. Threads: one at a time; starts
 * some of its own, which are over when it returns.
 */
#ifndef CPROF_SYMBOLIZER_SYMBOLIZER_H
#define CPROF_SYMBOLIZER_SYMBOLIZER_H

#include "base/err.h"
#include "profile/profile.h"

#include <signal.h>
#include <sys/types.h>

/* Header key of what is wanting for a binary: this and its path. The value is a sentence. */
#define SYMBOLIZER_REASON_PREFIX "symbols."
/* How the reason begins where a deadline left addresses out; what was found is whole. */
#define SYMBOLIZER_REASON_TIME "the time for symbols was over"

/* Modules that fewer samples have a frame in are not worth a download. */
#define SYMBOLIZER_FETCH_PCT 0.5

struct debuginfod_query;
struct kept_files;

struct jit_files;

struct symbolizer_options {
	const char *const *debug_dirs; /* searched first, each with .build-id/ and by path */
	size_t n_debug_dirs;
	const struct kept_files *kept_files; /* what ran, where a path has another file by now */
	bool objects;   /* files that are not linked (.o) will do: object_file.h */
	pid_t root_pid; /* files are looked for under /proc/PID/root too; 0 = no */
	const struct jit_files *jit_files;   /* held while recording (jit_files.h); NULL = none */
	struct debuginfod_query *debuginfod; /* for what is nowhere here; NULL = no */
	/* Not 0 = stop soon (set by a signal handler): the rest stays bare. May be NULL. */
	const volatile sig_atomic_t *cancel;
	const char
		*cache_dir; /* of answers that earlier runs found (answer_cache.h); NULL = none */
	/* CLOCK_MONOTONIC: stop then. What most samples are in is looked up first. 0 = take as long
	 * as it takes */
	int64_t deadline_ns;
	unsigned int n_threads; /* 0 = one for each processor that may be used, up to eight */
	/* Called after each binary; may be NULL. */
	void (*progress)(void *ctx, const char *path, size_t done, size_t total);
	/* Called now and then meanwhile: so many of its addresses; may be NULL. */
	void (*progress_within)(void *ctx, const char *path, size_t done, size_t total);
	void *progress_ctx;
};

struct symbolizer_stats {
	size_t locations;          /* looked at */
	size_t symbolized;         /* got at least a function name */
	size_t with_lines;         /* got a source line */
	size_t modules_mismatched; /* whose file on disk is another build; not used */
	size_t not_reached;        /* the time was over */
};

/**
 * Symbolize all locations that have no lines yet; what is not found stays bare.
 *
 * Return: 0, -ENOMEM. Problems with single binaries are no failure: the module's has_* flags stay
 *         false and the header tells why ("symbols.<module path>" = reason).
 */
int symbolizer_run(struct profile *profile, const struct symbolizer_options *options,
		   struct symbolizer_stats *stats, struct cp_err *err);

#endif
