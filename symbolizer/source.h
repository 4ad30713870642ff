/*
 * source.h - where the names of one module's addresses come from.
 *
 * A module's path says what it is: an ELF file, the kernel, the vDSO, the generated code of a
 * process. Each kind has its way to open and to look up; the driver knows only this.
 *
 * Depends on: base, profile (paths), binary, kallsyms, perf_map. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_SOURCE_H
#define CPROF_SYMBOLIZER_SOURCE_H

#include "base/err.h"
#include "symbol_frame.h"
#include "symbolizer.h"

struct source;

/* What identifies a module, and what its profile says about the machine it ran on. */
struct source_request {
	const char *path;     /* of the module */
	const char *build_id; /* hex, "" = unknown */
	/* [start, end) of the module's svma: a file without build-id must have code there */
	uint64_t svma_start, svma_end;
	double share_pct;           /* of the samples that have a frame in it */
	const char *kernel_release; /* that was recorded, or NULL */
	int64_t start_ns;           /* of the recording, wall clock; 0 = unknown */
};

/**
 * Open the source of a module.
 *
 * @err: why nothing can be looked up: a short sentence
 * Return: 0; -ESTALE: there is a file, but of another build; other -errno; -ENOMEM.
 */
int source_open(const struct source_request *request, const struct symbolizer_options *options,
		struct source **out, struct cp_err *err);
void source_close(struct source *source);

bool source_has_functions(const struct source *source);
bool source_has_inlines(const struct source *source); /* knows what was inlined where */

/** What is wanting, or "". Borrowed. */
const char *source_shortcoming(const struct source *source);

/** As binary_changed(): to be asked after the look-ups. */
bool source_changed(const struct source *source);

/**
 * The open files that all answers come from, for a cache to look at.
 *
 * Return: how many; 0: answers are not to be kept (something is missing, or they are of no file).
 */
size_t source_files(const struct source *source, int *fds, size_t max);

/** As binary_group(). */
uint32_t source_group(const struct source *source, uint64_t svma);

/** As binary_find(). */
int source_find(struct source *source, uint64_t svma, const struct symbol_frame **frames,
		size_t *n);

#endif
