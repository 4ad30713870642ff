/*
 * heap_rss.h - what a running process's resident memory is: live blocks, what the allocator keeps
 * around them, and what is not malloc at all.
 *
 * By mapping (/proc/PID/smaps): one that holds a live block, and the brk heap, is the allocator's.
 * How much of the live blocks is resident is not looked at: where they are more than the resident
 * memory of those mappings, the difference was never touched, or is swapped out.
 *
 * Depends on: base, heap_reader.h. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_RSS_H
#define CPROF_HEAP_HEAP_RSS_H

#include "base/err.h"
#include "heap_reader.h"

#include <stdio.h>
#include <sys/types.h>

struct heap_rss {
	uint64_t total_bytes;
	uint64_t malloc_bytes;          /* mappings with live blocks, and [heap] */
	uint64_t other_anonymous_bytes; /* private, without a live block */
	uint64_t stack_bytes;           /* of the main thread; others are anonymous */
	uint64_t file_bytes;            /* private mappings of files */
	uint64_t shared_bytes;          /* shared mappings, but the live file */
	uint64_t recorder_bytes;        /* the live file and the recorder's tables */
	uint64_t live_bytes;            /* requested */
};

/**
 * Split it up.
 *
 * Return: 0; -errno of reading smaps; -ENOMEM.
 * Context: reading smaps walks the page tables and holds the target's mmap lock for that time.
 */
int heap_rss_read(pid_t pid, const struct heap_snapshot *snapshot, struct heap_rss *out);

/** The same from the text of an smaps file. */
int heap_rss_parse(FILE *smaps, const struct heap_snapshot *snapshot, struct heap_rss *out);

#endif
