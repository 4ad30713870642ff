/*
 * heap_reader.h - what a heap file holds, read at one moment, checked, in memory of our own.
 *
 * The target may run and go on writing: tables that only grow are read up to their size of the
 * moment, and a live block is taken when it is the same in reads before and after (heap_file.h).
 * Everything in the file is validated, so that what is built on a snapshot indexes without looking:
 * parents lie below their nodes, nodes name modules, sites name nodes, blocks name sites.
 *
 * A file is read with pread, never mapped: the target's file system may fail under it.
 *
 * Depends on: base, elf (elf_source.h), heap_file.h. Threads: immutable once read.
 */
#ifndef CPROF_HEAP_HEAP_READER_H
#define CPROF_HEAP_HEAP_READER_H

#include "base/err.h"
#include "heap_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HEAP_TICK_NS = 10000000 }; /* of heap_block.born */

/* A live block; in sampled mode one that was sampled. */
struct heap_live {
	uint64_t address, size_bytes;
	uint32_t born_ticks; /* of HEAP_TICK_NS, since the file's start */
	uint32_t site, tid;
};

/* What happened at one stack, over all threads. In sampled mode estimates, rounded. */
struct heap_site_sum {
	uint32_t node;
	uint64_t allocs, alloc_bytes, frees, free_bytes, temporary;
	int64_t peak_blocks, peak_bytes; /* live at the moment of the process's peak */
	uint64_t raw_allocs, raw_frees;  /* sampled mode */
	double alloc_blocks_variance, alloc_bytes_variance;
};

struct heap_snapshot {
	struct heap_header header;
	struct heap_module *modules; /* [header.n_modules] */
	struct heap_node *nodes;     /* [header.n_nodes] */
	struct heap_site_sum *sites; /* [header.n_sites] */
	struct heap_live *blocks;    /* in no order */
	size_t n_blocks, cap_blocks;
	uint64_t reallocs;
	uint64_t size_allocs[HEAP_SIZE_CLASSES], size_bytes[HEAP_SIZE_CLASSES];
	uint64_t torn_blocks; /* entries that kept changing while they were read: not in `blocks` */
	bool peak_moved;      /* the peak changed while the counters were read */
	uint64_t disk_bytes;  /* that the file takes; 0 = unknown */
	uint64_t newest_ns;   /* birth of the youngest live block, since the start; 0 = none */
};

/**
 * Read a heap file.
 *
 * @fd:   of a regular file; not kept
 * @name: for messages
 * @live: the process may still write to it: blocks are read with care
 * Return: 0; -EBADMSG: no heap file, another version, or damaged (the message says where);
 *         -EAGAIN: it is being made at this moment; -errno of reading; -ENOMEM.
 */
int heap_snapshot_read_fd(int fd, const char *name, bool live, struct heap_snapshot **out,
			  struct cp_err *err);

/** The same from memory, for tests and fuzzing. */
int heap_snapshot_read_bytes(const void *bytes, size_t n, struct heap_snapshot **out,
			     struct cp_err *err);

void heap_snapshot_destroy(struct heap_snapshot *snapshot);

/* What a block of a sampled file stands for; 1 and its size in an exact one. */
struct heap_weight {
	double blocks, bytes;
	double blocks_variance, bytes_variance; /* of the estimates */
};

struct heap_weight heap_weight_of(uint64_t size_bytes, uint64_t sample_bytes);

/** The flags of a node's outermost ancestor that say why its stack has no more callers; 0: none. */
unsigned heap_stack_end(const struct heap_snapshot *snapshot, uint32_t node);

#endif
