#include "heap_load.h"

#include "base/cleanup.h"
#include "cli.h"
#include "load.h"
#include "output/heap_suppress.h"
#include "profile/header_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

bool heap_load_is_one(const char *path)
{
	char magic[sizeof(HEAP_FILE_MAGIC)] = "";
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && pread(fd, magic, sizeof(magic) - 1, 0) == sizeof(magic) - 1 &&
	       memcmp(magic, HEAP_FILE_MAGIC, sizeof(magic) - 1) == 0;
}

static int look_up_names(struct heap_loaded *loaded)
{
	const struct load_symbols symbols = {.root_pid = loaded->target.pid};
	return load_symbolize(loaded->profile, &symbols);
}

int heap_load(struct heap_file *file, bool symbols, struct heap_loaded *out, struct cp_err *err)
{
	struct heap_loaded loaded = {.file = *file};
	int rc = heap_file_read(&loaded.file, &loaded.snapshot, &loaded.target, err);
	if (!rc)
		rc = heap_profile_create(loaded.snapshot, &loaded.profile, &loaded.stacks, err);
	if (!rc && symbols && look_up_names(&loaded))
		rc = cp_fail_nomem(err);
	if (rc)
		heap_loaded_deinit(&loaded);
	else
		*out = loaded;
	file->fd = -1;
	return rc;
}

void heap_loaded_deinit(struct heap_loaded *loaded)
{
	heap_file_close(&loaded->file);
	heap_snapshot_destroy(loaded->snapshot);
	profile_destroy(loaded->profile);
	free(loaded->stacks);
	*loaded = (struct heap_loaded){.file = {.fd = -1}};
}

/* What the recording's header of a profile says, as far as a heap file knows it. */
static int describe(struct heap_loaded *loaded)
{
	const struct heap_header *header = &loaded->snapshot->header;
	struct profile *profile = loaded->profile;
	char command[sizeof(header->command) + 1];
	size_t n = 0;
	memcpy(command, header->command, sizeof(header->command));
	command[sizeof(header->command)] = '\0';
	while (n < sizeof(header->command) && command[n]) {
		n += strlen(command + n);
		if (n + 1 < sizeof(header->command) && command[n + 1])
			command[n++] = ' ';
	}
	profile->duration_ns = (int64_t)loaded->target.now_ns;
	int rc = profile_header_set(profile, HEADER_CPROF_VERSION, CPROF_VERSION);
	if (!rc)
		rc = profile_header_set(profile, HEADER_COMMAND, command);
	if (!rc)
		rc = profile_header_set(profile, HEADER_SYMBOLIZED, "yes");
	if (!rc && header->frozen)
		rc = profile_header_set(profile, HEADER_HEAP_FROZEN, "yes");
	return rc;
}

/* Sites that the built-in rules of reports take out. Return: [n_sites], or NULL. */
static bool *find_suppressed(const struct heap_loaded *loaded)
{
	struct heap_suppressions rules;
	struct frames *frames = NULL;
	frame_id *stack = NULL;
	size_t cap = 0;
	const uint32_t n_sites = loaded->snapshot->header.n_sites;
	if (heap_suppressions_init(&rules))
		return NULL;
	bool *suppressed = calloc((size_t)n_sites + 1, sizeof(*suppressed));
	bool ok = suppressed && !frames_create(loaded->profile, &frames) &&
		  !heap_suppressions_bind(&rules, frames);
	for (uint32_t i = 0; i < n_sites && ok; i++) {
		const long n = frames_of_stack(frames, loaded->stacks[i], &stack, &cap);
		const uint32_t node = loaded->snapshot->sites[i].node;
		const bool complete = n > 0 && heap_stack_end(loaded->snapshot, node) == 0;
		ok = n >= 0;
		suppressed[i] = ok && heap_suppressions_find(&rules, stack, (size_t)n, complete) !=
					      HEAP_RULE_NONE;
	}
	free(stack);
	frames_destroy(frames);
	heap_suppressions_deinit(&rules);
	if (!ok) {
		free(suppressed);
		return NULL;
	}
	return suppressed;
}

/* One value as reports have it; all of them as they are. */
static int add_samples(struct heap_loaded *loaded, enum heap_value value, struct cp_err *err)
{
	CP_CLEANUP(cp_free) bool *suppressed = NULL;
	if (value != HEAP_VALUE_ALL) {
		suppressed = find_suppressed(loaded);
		if (!suppressed)
			return cp_fail_nomem(err);
	}
	const int rc = heap_profile_add_samples(loaded->profile, loaded->snapshot, loaded->stacks,
						suppressed, value, err);
	const char *amount =
		rc ? NULL : profile_header_get(loaded->profile, HEADER_HEAP_SUPPRESSED);
	if (amount)
		cli_note("left out, as in reports: %s %s that every program holds (stdio's "
			 "buffers, the loader's own, ...)",
			 amount, value == HEAP_VALUE_CALLS ? "allocations" : "bytes");
	return rc;
}

struct profile *heap_load_profile(const char *path, enum heap_value value)
{
	struct heap_file file;
	struct heap_loaded loaded;
	struct cp_err err = {""};
	int rc = heap_file_open(path, &file, &err);
	if (!rc)
		rc = heap_load(&file, true, &loaded, &err);
	if (rc) {
		cli_fail("%s", err.message);
		return NULL;
	}
	rc = add_samples(&loaded, value, &err);
	if (!rc && describe(&loaded))
		rc = cp_fail_nomem(&err);
	struct profile *profile = rc ? NULL : loaded.profile;
	if (rc)
		cli_fail("%s", err.message);
	else
		loaded.profile = NULL;
	heap_loaded_deinit(&loaded);
	return profile;
}

struct profile *heap_load_any(const char *path, int value)
{
	struct pprof_load_info info;
	if (heap_load_is_one(path))
		return heap_load_profile(path,
					 value < 0 ? HEAP_VALUE_LIVE : (enum heap_value)value);
	if (value < 0)
		return load_with_names(path, &info);
	cli_fail("%s is no heap file: --value chooses among the values of one", path);
	return NULL;
}
