#include "lookup.h"

#include "address_queue.h"
#include "answer_store.h"
#include "base/array.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Addresses that a thread takes at a time: neighbours share a unit. */
enum { CHUNK = 256 };

/* Answers that are kept for the cache and for later batches: 30 MB and their strings. */
enum { MAX_KEPT = 256 * 1024 };

enum batch_state { BATCH_PREPARED, BATCH_OPEN, BATCH_FAILED };

struct lookup {
	const struct source_request *request;
	const struct symbolizer_options *options;
	char root[64]; /* "/proc/PID/root"; "" = no */
	bool cache_asked;
	struct source *source;     /* the owner's */
	struct answer_store store; /* its tables of helpers: under the lock */
	bool has_functions, has_inlines, is_saved;

	struct address_queue misses; /* the batch's addresses without an answer */
	_Atomic size_t next;         /* miss that nobody has taken */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t settled;
	enum batch_state state;
	struct source **idle; /* helpers' files, for the next one */
	size_t n_idle, cap_idle;
	bool changed;
	char *shortcoming; /* NULL = none */
};

/* Opening may ask a debuginfod server: through one handle, and once for each file. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

int lookup_create(const struct source_request *request, const struct symbolizer_options *options,
		  struct lookup **out)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	if (!lookup || answer_store_init(&lookup->store) < 0) {
		free(lookup);
		return -ENOMEM;
	}
	lookup->request = request;
	lookup->options = options;
	if (options->root_pid > 0)
		snprintf(lookup->root, sizeof(lookup->root), "/proc/%ld/root",
			 (long)options->root_pid);
	pthread_mutex_init(&lookup->lock, NULL);
	pthread_cond_init(&lookup->settled, NULL);
	*out = lookup;
	return 0;
}

static void close_idle(struct lookup *lookup)
{
	for (size_t i = 0; i < lookup->n_idle; i++)
		source_close(lookup->idle[i]);
	lookup->n_idle = 0;
}

void lookup_destroy(struct lookup *lookup)
{
	if (!lookup)
		return;
	source_close(lookup->source);
	close_idle(lookup);
	free(lookup->idle);
	answer_store_deinit(&lookup->store);
	address_queue_deinit(&lookup->misses);
	free(lookup->shortcoming);
	pthread_cond_destroy(&lookup->settled);
	pthread_mutex_destroy(&lookup->lock);
	free(lookup);
}

static struct answer_cache_key key_of(const struct lookup *lookup)
{
	return (struct answer_cache_key){.dir = lookup->options->cache_dir,
					 .path = lookup->request->path,
					 .build_id = lookup->request->build_id,
					 .root = lookup->root[0] ? lookup->root : NULL};
}

/* Only of files; and what is at a path without a build-id is checked against the module's place. */
static bool may_be_cached(const struct lookup *lookup)
{
	return lookup->options->cache_dir && lookup->request->path[0] == '/' &&
	       (lookup->request->build_id[0] ||
		lookup->request->svma_end <= lookup->request->svma_start);
}

static int ask_cache(struct lookup *lookup)
{
	struct answer_cache_key key = key_of(lookup);
	if (lookup->cache_asked || !may_be_cached(lookup))
		return 0;
	lookup->cache_asked = true;
	int rc = answer_store_load(&lookup->store, &key);
	if (lookup->store.has_cached) /* only what is complete is cached */
		lookup->has_functions = lookup->has_inlines = true;
	return rc;
}

static int open_source(struct lookup *lookup, struct source **out, struct cp_err *err)
{
	bool alone = lookup->options->debuginfod != NULL;
	if (alone)
		pthread_mutex_lock(&opening);
	int rc = source_open(lookup->request, lookup->options, out, err);
	if (alone)
		pthread_mutex_unlock(&opening);
	return rc;
}

static int note_shortcoming(struct lookup *lookup, struct source *source)
{
	const char *text = source_shortcoming(source);
	int rc = 0;
	pthread_mutex_lock(&lookup->lock);
	/* one that was seen stays: another's files need not have shown it */
	if (text[0] || !lookup->shortcoming) {
		char *copy = strdup(text);
		rc = copy ? 0 : -ENOMEM;
		if (copy) {
			free(lookup->shortcoming);
			lookup->shortcoming = copy;
		}
	}
	pthread_mutex_unlock(&lookup->lock);
	return rc;
}

static int open_own(struct lookup *lookup, struct cp_err *err)
{
	if (lookup->source)
		return 0;
	int rc = open_source(lookup, &lookup->source, err);
	if (rc < 0)
		return rc;
	lookup->has_functions = source_has_functions(lookup->source);
	lookup->has_inlines = source_has_inlines(lookup->source);
	return note_shortcoming(lookup, lookup->source) < 0 ? cp_fail_nomem(err) : 0;
}

static int collect_misses(struct lookup *lookup, const uint64_t *svmas, size_t n)
{
	struct lookup_answer known;
	lookup->misses.n = 0;
	for (size_t i = 0; i < n; i++)
		if (!lookup_find(lookup, svmas[i], &known) &&
		    address_queue_add(&lookup->misses, svmas[i]) < 0)
			return -ENOMEM;
	return 0;
}

static void note_change(struct lookup *lookup, const struct source *source)
{
	bool changed = source_changed(source);
	pthread_mutex_lock(&lookup->lock);
	lookup->changed |= changed;
	pthread_mutex_unlock(&lookup->lock);
}

/* What the answers came from, before it is asked whether it has changed. */
static size_t origins_of(const struct lookup *lookup,
			 struct answer_origin origins[ANSWER_FILE_MAX_INPUTS])
{
	int fds[ANSWER_FILE_MAX_INPUTS];
	const size_t n = source_files(lookup->source, fds, ANSWER_FILE_MAX_INPUTS);
	for (size_t i = 0; i < n; i++) {
		origins[i].fd = fds[i];
		if (fstat(fds[i], &origins[i].is) < 0)
			return 0;
	}
	return n;
}

/* Once at most: a later entry would have less in it. */
static void save_what_is_whole(struct lookup *lookup)
{
	struct answer_origin origins[ANSWER_FILE_MAX_INPUTS];
	note_shortcoming(lookup, lookup->source); /* some of it shows only in the look-ups */
	const size_t n = origins_of(lookup, origins);
	note_change(lookup, lookup->source);
	if (answer_store_count(&lookup->store) > 0 && !lookup->is_saved && !lookup->changed &&
	    lookup->has_inlines && !lookup_shortcoming(lookup)[0] && may_be_cached(lookup)) {
		struct answer_cache_key key = key_of(lookup);
		answer_store_save(&lookup->store, &key, origins, n);
	}
	lookup->is_saved = true;
}

/* Before too many answers of earlier batches are in the way: the cache gets those that there are.
 */
static int make_room(struct lookup *lookup)
{
	if (answer_store_count(&lookup->store) <= MAX_KEPT)
		return 0;
	save_what_is_whole(lookup);
	return answer_store_clear(&lookup->store);
}

static void set_state(struct lookup *lookup, enum batch_state state)
{
	pthread_mutex_lock(&lookup->lock);
	lookup->state = state;
	pthread_cond_broadcast(&lookup->settled);
	pthread_mutex_unlock(&lookup->lock);
}

int lookup_prepare(struct lookup *lookup, const uint64_t *svmas, size_t n, struct cp_err *err)
{
	set_state(lookup, BATCH_PREPARED);
	int rc = make_room(lookup);
	if (rc == 0)
		rc = ask_cache(lookup);
	if (rc == 0)
		rc = collect_misses(lookup, svmas, n);
	atomic_store(&lookup->next, 0);
	return rc < 0 ? cp_fail_nomem(err) : 0;
}

int lookup_open(struct lookup *lookup, struct cp_err *err)
{
	int rc = 0;
	if (lookup->misses.n > 0 || !lookup->store.has_cached)
		rc = open_own(lookup, err);
	if (rc == 0 && lookup->source)
		address_queue_sort(&lookup->misses, lookup->source);
	set_state(lookup, rc == 0 ? BATCH_OPEN : BATCH_FAILED);
	return rc;
}

int lookup_begin(struct lookup *lookup, const uint64_t *svmas, size_t n, struct cp_err *err)
{
	int rc = lookup_prepare(lookup, svmas, n, err);
	return rc < 0 ? rc : lookup_open(lookup, err);
}

size_t lookup_left(const struct lookup *lookup)
{
	size_t next = atomic_load(&lookup->next);
	return next < lookup->misses.n ? lookup->misses.n - next : 0;
}

bool lookup_must_stop(const struct symbolizer_options *options)
{
	struct timespec now;
	if (options->cancel && *options->cancel)
		return true;
	if (options->deadline_ns == 0 || clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		return false;
	return now.tv_sec * 1000000000LL + now.tv_nsec >= options->deadline_ns;
}

static int look_up(struct source *source, uint64_t svma, struct answer_table *into)
{
	const struct symbol_frame *frames;
	size_t n;
	int rc = source_find(source, svma, &frames, &n);
	if (rc < 0)
		return rc;
	if (n == 0 && frames[0].file && frames[0].file[0])
		n = 1; /* a line without a function */
	return answer_table_add(into, svma, frames, n);
}

static int work(struct lookup *lookup, struct source *source, struct answer_table *into)
{
	size_t at;
	while ((at = atomic_fetch_add(&lookup->next, CHUNK)) < lookup->misses.n) {
		size_t end = lookup->misses.n - at < CHUNK ? lookup->misses.n : at + CHUNK;
		for (; at < end; at++) {
			if (lookup_must_stop(lookup->options))
				return 0;
			int rc = look_up(source, lookup->misses.items[at].svma, into);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int lookup_work(struct lookup *lookup)
{
	return lookup->source ? work(lookup, lookup->source, &lookup->store.fresh) : 0;
}

static int take_table(struct lookup *lookup, struct answer_table *out)
{
	pthread_mutex_lock(&lookup->lock);
	int rc = answer_store_take(&lookup->store, out);
	pthread_mutex_unlock(&lookup->lock);
	return rc;
}

static int keep_table(struct lookup *lookup, struct answer_table *table)
{
	pthread_mutex_lock(&lookup->lock);
	int rc = answer_store_keep(&lookup->store, table);
	pthread_mutex_unlock(&lookup->lock);
	return rc;
}

static int take_source(struct lookup *lookup, struct source **out)
{
	struct cp_err err;
	*out = NULL;
	pthread_mutex_lock(&lookup->lock);
	if (lookup->n_idle > 0)
		*out = lookup->idle[--lookup->n_idle];
	pthread_mutex_unlock(&lookup->lock);
	return *out ? 0 : open_source(lookup, out, &err);
}

static void give_back(struct lookup *lookup, struct source *source)
{
	pthread_mutex_lock(&lookup->lock);
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is meant */
	struct source **slot = CP_ARRAY_PUSH(lookup->idle, lookup->n_idle, lookup->cap_idle);
	if (slot)
		*slot = source;
	pthread_mutex_unlock(&lookup->lock);
	if (!slot)
		source_close(source);
}

/* Return: false when there is nothing to take: the owner has no files. */
static bool wait_for_owner(struct lookup *lookup)
{
	pthread_mutex_lock(&lookup->lock);
	while (lookup->state == BATCH_PREPARED)
		pthread_cond_wait(&lookup->settled, &lookup->lock);
	bool open = lookup->state == BATCH_OPEN;
	pthread_mutex_unlock(&lookup->lock);
	return open;
}

int lookup_help(struct lookup *lookup)
{
	struct source *source;
	struct answer_table table;
	int rc = take_source(lookup, &source);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0; /* gone meanwhile: the owner has it open */
	rc = wait_for_owner(lookup) ? take_table(lookup, &table) : -ENOENT;
	if (rc == 0) {
		rc = work(lookup, source, &table);
		if (keep_table(lookup, &table) < 0)
			rc = -ENOMEM;
	}
	note_change(lookup, source);
	if (note_shortcoming(lookup, source) < 0)
		rc = -ENOMEM;
	give_back(lookup, source);
	return rc == -ENOENT ? 0 : rc;
}

void lookup_end(struct lookup *lookup)
{
	if (!lookup->source)
		return;
	save_what_is_whole(lookup);
	close_idle(lookup);
	source_close(lookup->source);
	lookup->source = NULL;
}

bool lookup_find(const struct lookup *lookup, uint64_t svma, struct lookup_answer *out)
{
	return answer_store_find(&lookup->store, svma, out);
}

bool lookup_has_functions(const struct lookup *lookup)
{
	return lookup->has_functions;
}

bool lookup_has_inlines(const struct lookup *lookup)
{
	return lookup->has_inlines;
}

const char *lookup_shortcoming(const struct lookup *lookup)
{
	return lookup->shortcoming ? lookup->shortcoming : "";
}

bool lookup_changed(const struct lookup *lookup)
{
	return lookup->changed || (lookup->source && source_changed(lookup->source));
}
