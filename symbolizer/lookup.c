#include "lookup.h"

#include "answer_cache.h"
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

/* Sorted, so that what belongs together is looked up together. */
struct miss {
	uint32_t group; /* source_group() */
	uint64_t svma;
};

struct lookup {
	const struct source_request *request;
	const struct symbolizer_options *options;
	char root[64]; /* "/proc/PID/root"; "" = no */
	bool cache_asked, has_cached;
	struct answer_file cached;
	struct source *source; /* the owner's */
	struct answer_table fresh;
	bool has_functions, has_inlines, is_new;

	struct miss *misses; /* the batch's addresses without an answer */
	size_t n_misses, cap_misses;
	_Atomic size_t next; /* miss that nobody has taken */

	pthread_mutex_t lock; /* of what follows */
	struct answer_table *helped;
	size_t n_helped, cap_helped;
	bool changed;
	char *shortcoming; /* NULL = none */
};

/* Opening may ask a debuginfod server: through one handle, and once for each file. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

int lookup_create(const struct source_request *request, const struct symbolizer_options *options,
		  struct lookup **out)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	if (!lookup || answer_table_init(&lookup->fresh) < 0) {
		free(lookup);
		return -ENOMEM;
	}
	lookup->request = request;
	lookup->options = options;
	if (options->root_pid > 0)
		snprintf(lookup->root, sizeof(lookup->root), "/proc/%ld/root",
			 (long)options->root_pid);
	pthread_mutex_init(&lookup->lock, NULL);
	*out = lookup;
	return 0;
}

void lookup_destroy(struct lookup *lookup)
{
	if (!lookup)
		return;
	source_close(lookup->source);
	answer_table_deinit(&lookup->fresh);
	for (size_t i = 0; i < lookup->n_helped; i++)
		answer_table_deinit(&lookup->helped[i]);
	free(lookup->helped);
	free(lookup->misses);
	free(lookup->shortcoming);
	if (lookup->has_cached)
		answer_file_close(&lookup->cached);
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
	int rc = answer_cache_load(&key, &lookup->cached);
	lookup->has_cached = rc == 0;
	if (rc == 0) /* only what is complete is cached */
		lookup->has_functions = lookup->has_inlines = true;
	return rc == -ENOMEM ? rc : 0;
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
	lookup->n_misses = 0;
	for (size_t i = 0; i < n; i++) {
		if (lookup_find(lookup, svmas[i], &known))
			continue;
		struct miss *miss =
			CP_ARRAY_PUSH(lookup->misses, lookup->n_misses, lookup->cap_misses);
		if (!miss)
			return -ENOMEM;
		*miss = (struct miss){.svma = svmas[i]};
	}
	return 0;
}

static int compare_misses(const void *left, const void *right)
{
	const struct miss *a = left, *b = right;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return a->svma < b->svma ? -1 : a->svma > b->svma;
}

static void group_misses(struct lookup *lookup)
{
	for (size_t i = 0; i < lookup->n_misses; i++)
		lookup->misses[i].group = source_group(lookup->source, lookup->misses[i].svma);
	if (lookup->n_misses > 0)
		qsort(lookup->misses, lookup->n_misses, sizeof(*lookup->misses), compare_misses);
}

int lookup_begin(struct lookup *lookup, const uint64_t *svmas, size_t n, struct cp_err *err)
{
	/* Nobody may take anything before the files are open. */
	atomic_store(&lookup->next, SIZE_MAX / 2);
	int rc = ask_cache(lookup);
	if (rc == 0)
		rc = collect_misses(lookup, svmas, n);
	if (rc < 0)
		return cp_fail_nomem(err);
	if (lookup->n_misses > 0 || !lookup->has_cached)
		rc = open_own(lookup, err);
	if (rc < 0)
		return rc;
	if (lookup->source)
		group_misses(lookup);
	atomic_store(&lookup->next, 0);
	return 0;
}

size_t lookup_left(const struct lookup *lookup)
{
	size_t next = atomic_load(&lookup->next);
	return next < lookup->n_misses ? lookup->n_misses - next : 0;
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
	while ((at = atomic_fetch_add(&lookup->next, CHUNK)) < lookup->n_misses) {
		size_t end = lookup->n_misses - at < CHUNK ? lookup->n_misses : at + CHUNK;
		for (; at < end; at++) {
			if (lookup_must_stop(lookup->options))
				return 0;
			int rc = look_up(source, lookup->misses[at].svma, into);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int lookup_work(struct lookup *lookup)
{
	size_t before = lookup->fresh.n;
	int rc = lookup->source ? work(lookup, lookup->source, &lookup->fresh) : 0;
	lookup->is_new |= lookup->fresh.n > before;
	return rc;
}

static void note_change(struct lookup *lookup, const struct source *source)
{
	bool changed = source_changed(source);
	pthread_mutex_lock(&lookup->lock);
	lookup->changed |= changed;
	pthread_mutex_unlock(&lookup->lock);
}

/* What an earlier helper left is gone on with: each table more is one more to search. */
static int take_table(struct lookup *lookup, struct answer_table *out)
{
	bool found;
	pthread_mutex_lock(&lookup->lock);
	found = lookup->n_helped > 0;
	if (found)
		*out = lookup->helped[--lookup->n_helped];
	pthread_mutex_unlock(&lookup->lock);
	return found ? 0 : answer_table_init(out);
}

static int keep_table(struct lookup *lookup, struct answer_table *table)
{
	pthread_mutex_lock(&lookup->lock);
	struct answer_table *kept =
		CP_ARRAY_PUSH(lookup->helped, lookup->n_helped, lookup->cap_helped);
	if (kept)
		*kept = *table;
	pthread_mutex_unlock(&lookup->lock);
	if (!kept)
		answer_table_deinit(table);
	return kept ? 0 : -ENOMEM;
}

int lookup_help(struct lookup *lookup)
{
	struct source *source;
	struct answer_table table;
	struct cp_err err;
	int rc = open_source(lookup, &source, &err);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0; /* gone meanwhile: the owner has it open */
	rc = take_table(lookup, &table);
	if (rc == 0) {
		rc = work(lookup, source, &table);
		if (keep_table(lookup, &table) < 0)
			rc = -ENOMEM;
	}
	note_change(lookup, source);
	if (note_shortcoming(lookup, source) < 0)
		rc = -ENOMEM;
	source_close(source);
	return rc;
}

static void save(struct lookup *lookup)
{
	int fds[ANSWER_FILE_MAX_INPUTS];
	struct answer_cache_key key = key_of(lookup);
	size_t n_fds = source_files(lookup->source, fds, ANSWER_FILE_MAX_INPUTS), n = 0;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are what is meant */
	const struct answer_table **tables = calloc(lookup->n_helped + 2, sizeof(*tables));
	if (tables && n_fds > 0) {
		tables[n++] = &lookup->fresh;
		for (size_t i = 0; i < lookup->n_helped; i++)
			tables[n++] = &lookup->helped[i];
		/* what the entry cannot hold with this run's answers it loses */
		size_t n_new = n;
		if (lookup->has_cached)
			tables[n++] = &lookup->cached.table;
		if (answer_cache_save(&key, fds, n_fds, tables, n) == -EFBIG && n > n_new)
			answer_cache_save(&key, fds, n_fds, tables, n_new);
	}
	free(tables);
}

void lookup_end(struct lookup *lookup)
{
	if (!lookup->source)
		return;
	note_change(lookup, lookup->source);
	note_shortcoming(lookup, lookup->source); /* some of it shows only in the look-ups */
	if (lookup->is_new && !lookup->changed && lookup->has_inlines &&
	    !lookup_shortcoming(lookup)[0] && may_be_cached(lookup))
		save(lookup);
	source_close(lookup->source);
	lookup->source = NULL;
}

bool lookup_find(const struct lookup *lookup, uint64_t svma, struct lookup_answer *out)
{
	const struct answer_table *table = &lookup->fresh;
	const struct answer *answer = answer_table_find(table, svma);
	if (!answer && lookup->has_cached) {
		table = &lookup->cached.table;
		answer = answer_table_find(table, svma);
	}
	for (size_t i = 0; i < lookup->n_helped && !answer; i++) {
		table = &lookup->helped[i];
		answer = answer_table_find(table, svma);
	}
	*out = (struct lookup_answer){.table = table, .answer = answer};
	return answer != NULL;
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
