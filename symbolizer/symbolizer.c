#include "symbolizer.h"

#include "base/cleanup.h"
#include "die_walk.h"
#include "module_shares.h"
#include "profile/header_keys.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A location to look up, with what sorts it to its neighbours. */
struct query {
	uint32_t path, build_id; /* string ids: equal for all segments of one binary */
	uint32_t location;
	uint64_t svma;
};

struct run {
	struct profile *profile;
	const struct symbolizer_options *options;
	struct symbolizer_stats stats;
	double *shares; /* of each module, in percent */
};

/* What the look-ups of one binary brought. */
struct outcome {
	bool functions, files, lines, inlines;
};

static int compare_queries(const void *left, const void *right)
{
	const struct query *a = left, *b = right;
	if (a->path != b->path)
		return a->path < b->path ? -1 : 1;
	if (a->build_id != b->build_id)
		return a->build_id < b->build_id ? -1 : 1;
	if (a->svma != b->svma)
		return a->svma < b->svma ? -1 : 1;
	return a->location < b->location ? -1 : a->location > b->location;
}

static size_t collect_queries(const struct profile *profile, struct query *queries)
{
	size_t n = 0;
	for (size_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		const struct profile_module *module = &profile->modules[location->module.v];
		const char *path = profile_text(profile, module->path);
		if (location->n_lines > 0 || strcmp(path, PROFILE_PATH_UNKNOWN) == 0 ||
		    strcmp(path, PROFILE_PATH_OMITTED) == 0)
			continue;
		queries[n++] = (struct query){.path = module->path.v,
					      .build_id = module->build_id.v,
					      .location = (uint32_t)i,
					      .svma = location->svma};
	}
	qsort(queries, n, sizeof(*queries), compare_queries);
	return n;
}

static size_t group_length(const struct query *queries, size_t n)
{
	size_t length = 1;
	while (length < n && queries[length].path == queries[0].path &&
	       queries[length].build_id == queries[0].build_id)
		length++;
	return length;
}

static int add_line(struct profile *profile, const struct symbol_frame *frame,
		    struct profile_line *line)
{
	struct profile_function function = {.start_line = frame->start_line};
	int rc = profile_string(profile, frame->name, &function.name);
	if (rc == 0)
		rc = profile_string(profile, frame->system_name, &function.system_name);
	if (rc == 0)
		rc = profile_string(profile, frame->file, &function.file);
	line->line = frame->line;
	return rc < 0 ? rc : profile_add_function(profile, &function, &line->function);
}

/* Look one location up and note what was found. */
static int resolve(struct run *run, struct source *source, const struct query *query,
		   struct outcome *outcome)
{
	const struct symbol_frame *frames;
	struct profile_line lines[DIE_WALK_MAX_DEPTH + 1];
	size_t n;
	int rc = source_find(source, query->svma, &frames, &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_line(run->profile, &frames[i], &lines[i]);
	if (rc < 0 || n == 0)
		return rc;
	run->stats.symbolized++;
	run->stats.with_lines += frames[0].line > 0;
	outcome->files |= frames[0].file[0] != '\0';
	outcome->lines |= frames[0].line > 0;
	outcome->inlines |= source_has_inlines(source);
	return profile_set_lines(run->profile, (location_id){query->location}, lines, n);
}

static void set_flags(struct profile *profile, const struct query *group,
		      const struct outcome *outcome)
{
	for (size_t i = 0; i < profile->n_modules; i++) {
		struct profile_module *module = &profile->modules[i];
		if (module->path.v != group->path || module->build_id.v != group->build_id)
			continue;
		module->has_functions |= outcome->functions;
		module->has_filenames |= outcome->files;
		module->has_lines |= outcome->lines;
		module->has_inlines |= outcome->inlines;
	}
}

/* Say in the header what is wanting for a binary; a reason of an earlier run is overruled. */
static int note_reason(struct run *run, const char *path, const char *reason)
{
	CP_CLEANUP(cp_free) char *key = NULL;
	if (asprintf(&key, "%s%s", SYMBOLIZER_REASON_PREFIX, path) < 0) {
		key = NULL;
		return -ENOMEM;
	}
	if (!reason[0] && !profile_header_get(run->profile, key))
		return 0;
	return profile_header_set(run->profile, key, reason);
}

static struct source_request request_for(const struct run *run, const struct query *query)
{
	const struct profile *profile = run->profile;
	const struct profile_location *location = &profile->locations[query->location];
	const struct profile_module *module = &profile->modules[location->module.v];
	return (struct source_request){
		.path = profile_text(profile, module->path),
		.build_id = profile_text(profile, module->build_id),
		.svma_start = module->svma_start,
		.svma_end = module->svma_end,
		.share_pct = run->shares[location->module.v],
		.kernel_release = profile_header_get(profile, HEADER_KERNEL_RELEASE),
		.start_ns = profile->start_ns,
	};
}

static bool cancelled(const struct run *run)
{
	return run->options->cancel && *run->options->cancel;
}

/* Of a file that was written to meanwhile nothing is sure, also what looks right. */
static int take_back(struct run *run, const struct query *queries, size_t n, const char *path,
		     struct outcome *outcome)
{
	struct profile *profile = run->profile;
	for (size_t i = 0; i < n; i++) {
		struct profile_location *location = &profile->locations[queries[i].location];
		run->stats.symbolized -= location->n_lines > 0;
		run->stats.with_lines -=
			location->n_lines > 0 && profile->lines[location->first_line].line > 0;
		location->n_lines = 0;
	}
	*outcome = (struct outcome){.functions = false};
	return note_reason(run, path,
			   "a file of it was changed while it was read, so its names are left "
			   "out: 'cprof symbolize' looks them up again");
}

/* All locations of one binary. */
static int run_group(struct run *run, const struct query *queries, size_t n)
{
	struct source_request request = request_for(run, queries);
	struct source *source;
	struct cp_err reason = {""};
	int rc = source_open(&request, run->options, &source, &reason);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		run->stats.modules_mismatched += rc == -ESTALE;
		return note_reason(run, request.path, reason.message);
	}
	struct outcome outcome = {.functions = source_has_functions(source)};
	rc = note_reason(run, request.path, source_shortcoming(source));
	for (size_t i = 0; i < n && rc == 0 && !cancelled(run); i++)
		rc = resolve(run, source, &queries[i], &outcome);
	if (rc == 0 && source_changed(source))
		rc = take_back(run, queries, n, request.path, &outcome);
	set_flags(run->profile, queries, &outcome);
	source_close(source);
	return rc;
}

static int run_groups(struct run *run, const struct query *queries, size_t n)
{
	size_t total = 0, done = 0;
	for (size_t i = 0; i < n; i += group_length(queries + i, n - i))
		total++;
	for (size_t i = 0; i < n && !cancelled(run);) {
		size_t length = group_length(queries + i, n - i);
		int rc = run_group(run, queries + i, length);
		if (rc < 0)
			return rc;
		done++;
		if (run->options->progress)
			run->options->progress(
				run->options->progress_ctx,
				profile_text(run->profile, (string_id){queries[i].path}), done,
				total);
		i += length;
	}
	return 0;
}

int symbolizer_run(struct profile *profile, const struct symbolizer_options *options,
		   struct symbolizer_stats *stats, struct cp_err *err)
{
	struct run run = {.profile = profile, .options = options};
	CP_CLEANUP(cp_free)
	struct query *queries = malloc((profile->n_locations + 1) * sizeof(*queries));
	if (!queries)
		return cp_fail_nomem(err);
	run.stats.locations = collect_queries(profile, queries);
	int rc = module_shares_compute(profile, &run.shares);
	if (rc == 0)
		rc = run_groups(&run, queries, run.stats.locations);
	free(run.shares);
	if (stats)
		*stats = run.stats;
	return rc < 0 ? cp_fail_nomem(err) : 0;
}
