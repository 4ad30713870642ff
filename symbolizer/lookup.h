/*
 * lookup.h - the answers for many addresses of one module: from the cache, else from its files.
 *
 * What earlier runs found is not looked up again; the module's files are not even opened when
 * nothing is left to look up. What is left is cut into chunks of neighbouring addresses. The owner
 * works through them, and helpers may join, each with files of its own: libdw's handles belong to
 * one thread. Helpers' files are kept for those of the next batch.
 *
 * Depends on: base, source, answer_store. Threads: as each function says.
 */
#ifndef CPROF_SYMBOLIZER_LOOKUP_H
#define CPROF_SYMBOLIZER_LOOKUP_H

#include "answer_store.h"
#include "source.h"

/* Addresses that make it worth to open a large binary once more. */
enum { LOOKUP_HELP_MIN = 2048 };

struct lookup;

/**
 * @request, @options: kept; borrowed until lookup_destroy()
 * Return: 0 or -ENOMEM.
 */
int lookup_create(const struct source_request *request, const struct symbolizer_options *options,
		  struct lookup **out);
void lookup_destroy(struct lookup *lookup);

/**
 * Take a batch of addresses, in any order: see which have no answer yet, and open the module's
 * files for them. Answers of earlier batches may go to make room.
 *
 * @err:   why nothing can be looked up, as from source_open()
 * Return: as source_open(). Owner only.
 */
int lookup_begin(struct lookup *lookup, const uint64_t *svmas, size_t n, struct cp_err *err);

/** The two halves of lookup_begin(): between them helpers may be started, who open files too. */
int lookup_prepare(struct lookup *lookup, const uint64_t *svmas, size_t n, struct cp_err *err);
int lookup_open(struct lookup *lookup, struct cp_err *err);

/** Addresses of the batch that nobody has taken yet. Any thread. */
size_t lookup_left(const struct lookup *lookup);

/** Look up until nothing is left, or it is time to end. Return: 0 or -ENOMEM. Owner only. */
int lookup_work(struct lookup *lookup);

/** The same in another thread, at the same time. Return: 0 or -ENOMEM. */
int lookup_help(struct lookup *lookup);

/** Write what is new to the cache, and close the files. When all work is done. Owner only. */
void lookup_end(struct lookup *lookup);

/** Stop was asked for, or the time is over: what has no answer was not looked up. Any thread. */
bool lookup_must_stop(const struct symbolizer_options *options);

/** Return: false: not looked up. Valid until the next batch. Owner only, after the work. */
bool lookup_find(const struct lookup *lookup, uint64_t svma, struct lookup_answer *out);

/** What is known about the module. Owner only, after lookup_work(). */
bool lookup_has_functions(const struct lookup *lookup);
bool lookup_has_inlines(const struct lookup *lookup);
const char *lookup_shortcoming(const struct lookup *lookup);

/**
 * A file was changed while it was read: what was found may be wrong. Owner only, when work is done.
 */
bool lookup_changed(const struct lookup *lookup);

#endif
