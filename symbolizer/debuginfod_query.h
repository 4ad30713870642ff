/*
 * debuginfod_query.h - fetch debug files by build-id from a debuginfod server.
 *
 * Through libdebuginfod, which is loaded when the first file is asked for: it brings an HTTP client
 * and a cache shared with gdb and others, and most runs need neither. What a server sends is a
 * claim: a file is handed on only when it is an ELF file with the build-id that was asked for.
 *
 * All fetches of a run share one time limit. A server that cannot be reached is not asked twice;
 * what it fails to give of one file says nothing about the next.
 *
 * Depends on: base, elf (debug_file), libdebuginfod at run time. Threads: any; one fetch at a time.
 */
#ifndef CPROF_SYMBOLIZER_DEBUGINFOD_QUERY_H
#define CPROF_SYMBOLIZER_DEBUGINFOD_QUERY_H

#include "base/err.h"
#include "elf/elf_image.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct debuginfod_query;

struct debuginfod_query_options {
	const char *urls;                    /* separated by spaces */
	uint64_t limit_ns;                   /* for all fetches together */
	const volatile sig_atomic_t *cancel; /* see symbolizer.h; may be NULL */
	/* Called about once a second during a fetch; total_bytes = 0: not known yet. May be NULL.
	 */
	void (*progress)(void *ctx, const char *name, uint64_t bytes, uint64_t total_bytes);
	void *progress_ctx;
};

/**
 * @options: copied, but for what it points to
 * Return: 0 or -ENOMEM.
 * Context: sets DEBUGINFOD_URLS: call it before there are other threads.
 */
int debuginfod_query_create(const struct debuginfod_query_options *options,
			    struct debuginfod_query **out);
void debuginfod_query_destroy(struct debuginfod_query *query);

/**
 * Fetch the debug file of a binary.
 *
 * @name: of the binary, for progress
 * @out:  the path of the file in libdebuginfod's cache; the caller frees it
 * @why:  on failure: a short sentence
 * Return: 0; -ENOENT: no server has it; -ETIME: the time is up; -EBADMSG: something else was sent;
 *         other -errno.
 * Context: blocks, at most until the time is up or a second after *cancel.
 */
int debuginfod_query_fetch(struct debuginfod_query *query, const struct elf_build_id *id,
			   const char *name, char **out, struct cp_err *why);

/** Whether libdebuginfod is there. */
bool debuginfod_query_available(void);

#endif
