/*
 * pprof_compact.h - rewrite a growing file with a coarser timeline, in a child process.
 *
 * Reading half a million samples takes a second or two, and a recorder that does nothing else
 * meanwhile loses records. So a child does it, from the file and a snapshot of the tables (fork),
 * into a temporary file; the parent goes on draining and only must not append until it is done.
 * What the child's encoder has written comes back through a pipe, so that the parent's next member
 * continues the new file.
 *
 * Depends on: base, profile.h, pprof_encode.h, safe_file.h. Threads: one at a time.
 */
#ifndef CPROF_PROFILE_PPROF_COMPACT_H
#define CPROF_PROFILE_PPROF_COMPACT_H

#include "pprof_encode.h"
#include "profile.h"
#include "safe_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pprof_compaction {
	pid_t pid; /* of the child; 0 = none */
	int result_fd;
	struct safe_file file;           /* the new one, complete when the child has ended */
	struct pprof_encoder *encoder;   /* that continues it then */
	uint64_t samples;                /* in it */
	uint64_t cpu_ns, peak_rss_bytes; /* of the child */
};

/**
 * Start.
 *
 * @profile: what the file was written from; may grow meanwhile, its samples may be any
 * Return: 0 or -errno with a message; nothing is left then.
 */
int pprof_compaction_begin(struct pprof_compaction *compaction, const char *path,
			   const struct profile *profile, int64_t quantum_ns, struct cp_err *err);

/**
 * Has it ended?
 *
 * @wait: until it has
 * Return: 1: file, encoder and samples are valid, the file is not committed yet; 0: not yet;
 *         -errno with a message: it failed and was ended.
 */
int pprof_compaction_poll(struct pprof_compaction *compaction, bool wait, struct cp_err *err);

/** Give up, or release what was made. An all-zero struct is accepted. */
void pprof_compaction_end(struct pprof_compaction *compaction);

#endif
