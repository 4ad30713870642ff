#include "debuginfod_query.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "elf/debug_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIBRARY "libdebuginfod.so.1"

/* What is used of libdebuginfod: debuginfod_find_debuginfo(3). */
struct debuginfod_client;
typedef int progress_callback(struct debuginfod_client *client, long done, long total);
struct library {
	struct debuginfod_client *(*begin)(void);
	void (*end)(struct debuginfod_client *client);
	int (*find_debuginfo)(struct debuginfod_client *client, const unsigned char *id,
			      int id_bytes, char **path);
	void (*set_progress)(struct debuginfod_client *client, progress_callback *callback);
};

struct debuginfod_query {
	struct debuginfod_query_options options;
	pthread_mutex_t lock; /* of a fetch */
	struct library library;
	struct debuginfod_client *client;
	bool begun;
	uint64_t used_ns;
	struct cp_err refusal; /* why no more is asked; "" = go on */
	int refusal_code;
	/* of the fetch under way */
	const char *name;
	uint64_t deadline_ns;
	bool timed_out;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int debuginfod_query_create(const struct debuginfod_query_options *options,
			    struct debuginfod_query **out)
{
	struct debuginfod_query *query = calloc(1, sizeof(*query));
	if (!query)
		return -ENOMEM;
	/* The library's only way to be told; now, as fetches are made by threads among others. */
	if (setenv("DEBUGINFOD_URLS", options->urls, 1) < 0) {
		free(query);
		return -ENOMEM;
	}
	query->options = *options;
	pthread_mutex_init(&query->lock, NULL);
	*out = query;
	return 0;
}

void debuginfod_query_destroy(struct debuginfod_query *query)
{
	if (!query)
		return;
	if (query->client)
		query->library.end(query->client);
	pthread_mutex_destroy(&query->lock);
	free(query);
}

/* Never closed: its HTTP client leaves threads and exit handlers behind. */
static void *load_library(void)
{
	return dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

bool debuginfod_query_available(void)
{
	return load_library() != NULL;
}

/* ISO C knows no way from an object pointer to a function's; POSIX promises this one. */
static bool find_function(void *handle, const char *name, void *function)
{
	void *found = dlsym(handle, name);
	memcpy(function, &found, sizeof(found));
	return found != NULL;
}

static bool find_functions(struct library *library)
{
	void *handle = load_library();
	return handle && find_function(handle, "debuginfod_begin", &library->begin) &&
	       find_function(handle, "debuginfod_end", &library->end) &&
	       find_function(handle, "debuginfod_find_debuginfo", &library->find_debuginfo) &&
	       find_function(handle, "debuginfod_set_progressfn", &library->set_progress);
}

static bool cancelled(const struct debuginfod_query *query)
{
	return query->options.cancel && *query->options.cancel;
}

/* Of the fetch that this thread waits for: the library's callback takes no argument of ours. */
static _Thread_local struct debuginfod_query *fetching;

/* Return: not 0 = give up. */
static int on_progress(struct debuginfod_client *client, long done, long total)
{
	(void)client;
	struct debuginfod_query *query = fetching;
	query->timed_out = now_ns() >= query->deadline_ns;
	if (query->timed_out || cancelled(query))
		return 1;
	/* before a server has answered, the first number only counts the calls */
	if (query->options.progress)
		query->options.progress(query->options.progress_ctx, query->name,
					total > 0 ? (uint64_t)done : 0,
					total > 0 ? (uint64_t)total : 0);
	return 0;
}

/* From here on nothing is asked any more. */
static int refuse(struct debuginfod_query *query, int code, const char *text, const char *detail)
{
	query->refusal_code = code;
	return cp_fail(&query->refusal, code, "debuginfod: %s%s", text, detail);
}

static int begin(struct debuginfod_query *query)
{
	if (query->begun)
		return query->refusal_code;
	query->begun = true;
	if (!find_functions(&query->library))
		return refuse(query, -ENOSYS, LIBRARY " is not installed",
			      " (apt install libdebuginfod1)");
	query->client = query->library.begin();
	if (!query->client)
		return refuse(query, -ENOMEM, "cannot start a client", "");
	query->library.set_progress(query->client, on_progress);
	return 0;
}

/*
 * Whether nobody is there who could answer the next question: it would have to wait as long. Of
 * several servers the library tells what became of one.
 */
static bool is_gone(const struct debuginfod_query *query, int code)
{
	static const int codes[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH,
				    ETIME,        ETIMEDOUT,    EINVAL}; /* EINVAL: no URL */
	if (strchr(query->options.urls, ' '))
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (code == -codes[i])
			return true;
	return false;
}

/* What a failed fetch means, and whether to go on asking. */
static int explain(struct debuginfod_query *query, int code, struct cp_err *why)
{
	char limit[CP_TEXT_MAX];
	if (query->timed_out)
		return refuse(query, -ETIME, "no answer, and the time limit is used up: ",
			      cp_format_duration(query->options.limit_ns, limit));
	if (cancelled(query))
		return refuse(query, -EINTR, "interrupted", "");
	if (code == -ENOENT)
		return cp_fail(why, code, "debuginfod: no server has it");
	if (is_gone(query, code))
		return refuse(query, code, "no answer from the server: ", strerror(-code));
	return cp_fail(why, code, "debuginfod: the fetch failed: %s", strerror(-code));
}

static int ask(struct debuginfod_query *query, const struct elf_build_id *id, char **path,
	       struct cp_err *why)
{
	const uint64_t start_ns = now_ns();
	if (query->used_ns >= query->options.limit_ns)
		query->timed_out = true;
	int code = -ETIME;
	query->deadline_ns = start_ns + (query->options.limit_ns - query->used_ns);
	if (!query->timed_out) {
		fetching = query;
		code = query->library.find_debuginfo(query->client, id->bytes, (int)id->n, path);
		fetching = NULL;
		query->used_ns += now_ns() - start_ns;
	}
	if (code < 0)
		return explain(query, code, why);
	/* the descriptor is of the file at @path, which is opened again with more care */
	close(code);
	return 0;
}

/* What does not belong must not stay: the cache would hand it out for days, also to others. */
static int check(const char *path, const struct elf_build_id *id, struct cp_err *why)
{
	struct elf_build_id found = {.n = 0};
	const int code = debug_file_read_build_id(path, &found);
	if (code == 0 && found.n == id->n && memcmp(found.bytes, id->bytes, id->n) == 0)
		return 0;
	unlink(path);
	if (code < 0)
		return cp_fail(why, -EBADMSG,
			       "debuginfod: the server sent something else than a "
			       "debug file; not used");
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	return cp_fail(why, -EBADMSG,
		       "debuginfod: the server sent a file of another build "
		       "(build-id %s); not used",
		       elf_build_id_hex(&found, hex));
}

int debuginfod_query_fetch(struct debuginfod_query *query, const struct elf_build_id *id,
			   const char *name, char **out, struct cp_err *why)
{
	char *path = NULL;
	pthread_mutex_lock(&query->lock);
	int code = begin(query);
	query->name = name;
	if (code == 0)
		code = ask(query, id, &path, why);
	if (query->refusal.message[0])
		cp_fail(why, code, "%s", query->refusal.message);
	pthread_mutex_unlock(&query->lock);
	if (code == 0)
		code = check(path, id, why);
	if (code == 0)
		*out = path;
	else
		free(path);
	return code;
}
