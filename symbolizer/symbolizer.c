#include "symbolizer.h"

#include "base/cleanup.h"
#include "dwarf_info.h"
#include "hot_locations.h"
#include "lookup_pool.h"
#include "module_shares.h"
#include "profile/header_keys.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What is looked up first where there is no time for all: so much of the samples' frames. */
#define HOT_PCT 90.0

/* A location to look up, with what sorts it to its neighbours. */
struct query {
	bool cold;               /* can wait */
	uint32_t path, build_id; /* string ids: equal for all segments of one binary */
	uint32_t location;
	uint64_t svma;
};

struct run {
	struct profile *profile;
	const struct symbolizer_options *options;
	struct symbolizer_stats stats;
	double *shares;  /* of each module, in percent */
	const bool *hot; /* locations that come first; NULL = none do */
	size_t n_jobs, n_done;
};

/* What the look-ups of one binary brought. */
struct outcome {
	bool functions, files, lines, inlines;
	size_t not_reached;
};

static int compare_queries(const void *left, const void *right)
{
	const struct query *a = left, *b = right;
	if (a->cold != b->cold)
		return a->cold ? 1 : -1;
	if (a->path != b->path)
		return a->path < b->path ? -1 : 1;
	if (a->build_id != b->build_id)
		return a->build_id < b->build_id ? -1 : 1;
	if (a->svma != b->svma)
		return a->svma < b->svma ? -1 : 1;
	return a->location < b->location ? -1 : a->location > b->location;
}

static size_t collect_queries(const struct run *run, struct query *queries)
{
	const struct profile *profile = run->profile;
	size_t n = 0;
	for (size_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		const struct profile_module *module = &profile->modules[location->module.v];
		const char *path = profile_text(profile, module->path);
		if (location->n_lines > 0 || strcmp(path, PROFILE_PATH_UNKNOWN) == 0 ||
		    strcmp(path, PROFILE_PATH_OMITTED) == 0)
			continue;
		queries[n++] = (struct query){.cold = run->hot && !run->hot[i],
					      .path = module->path.v,
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
	while (length < n && queries[length].cold == queries[0].cold &&
	       queries[length].path == queries[0].path &&
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

_Static_assert((int)DWARF_INFO_MAX_FRAMES <= (int)ANSWER_MAX_FRAMES,
	       "answers of files and of the cache");

/* Note what was found for one location. */
static int take_answer(struct run *run, const struct lookup *lookup, const struct query *query,
		       struct outcome *outcome)
{
	struct lookup_answer found;
	struct profile_line lines[ANSWER_MAX_FRAMES];
	if (!lookup_find(lookup, query->svma, &found)) {
		outcome->not_reached++;
		return 0;
	}
	size_t n = found.answer->n_frames;
	struct symbol_frame first = {.name = ""};
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct symbol_frame frame = answer_table_frame(found.table, found.answer, i);
		if (i == 0)
			first = frame;
		if (first.name[0])
			rc = add_line(run->profile, &frame, &lines[i]);
	}
	if (rc < 0 || !first.name[0]) /* no function: a line alone is no use here */
		return rc;
	run->stats.symbolized++;
	run->stats.with_lines += first.line > 0;
	outcome->files |= first.file[0] != '\0';
	outcome->lines |= first.line > 0;
	outcome->inlines |= lookup_has_inlines(lookup);
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

/* Say how far it went when the time was over; other reasons can wait until names are complete. */
static int note_time(struct run *run, const char *path, size_t not_reached, size_t n)
{
	char reason[160];
	run->stats.not_reached += not_reached;
	if (not_reached == 0 || (run->options->cancel && *run->options->cancel))
		return 0;
	snprintf(reason, sizeof(reason),
		 SYMBOLIZER_REASON_TIME " before %zu of %zu addresses: 'cprof symbolize' "
					"looks them up",
		 not_reached, n);
	return note_reason(run, path, reason);
}

/*
 * Names of a file without build-id may be those of its successor. Not while recording: then it
 * was kept open.
 */
static bool may_be_another_build(const struct run *run, const struct source_request *request)
{
	const struct profile *profile = run->profile;
	struct stat file;
	return !request->build_id[0] && !run->options->kept_files && profile->start_ns > 0 &&
	       stat(request->path, &file) == 0 && S_ISREG(file.st_mode) &&
	       file.st_mtim.tv_sec > (profile->start_ns + profile->duration_ns) / 1000000000;
}

/* All locations of one binary. */
static int take_answers(struct run *run, const struct lookup_job *job)
{
	const struct lookup *lookup = job->lookup;
	const struct query *queries = job->owner;
	const char *path = job->request.path;
	/* Of a file that was written to meanwhile nothing is sure, also what looks right. */
	if (lookup_changed(lookup))
		return note_reason(run, path,
				   "a file of it was changed while it was read, so its names are "
				   "left out: 'cprof symbolize' looks them up again");
	struct outcome outcome = {.functions = lookup_has_functions(lookup)};
	const char *shortcoming = lookup_shortcoming(lookup);
	if (!shortcoming[0] && may_be_another_build(run, &job->request))
		shortcoming = "written to after the recording, and no build-id to compare: names "
			      "may be of another build";
	int rc = note_reason(run, path, shortcoming);
	for (size_t i = 0; i < job->n && rc == 0; i++)
		rc = take_answer(run, lookup, &queries[i], &outcome);
	set_flags(run->profile, queries, &outcome);
	return rc < 0 ? rc : note_time(run, path, outcome.not_reached, job->n);
}

static int job_done(void *ctx, struct lookup_job *job)
{
	struct run *run = ctx;
	const char *path = job->request.path;
	int rc = 0;
	if (job->rc == -ECANCELED) {
		rc = note_time(run, path, job->n, job->n);
	} else if (job->rc < 0) {
		run->stats.modules_mismatched += job->rc == -ESTALE;
		rc = note_reason(run, path, job->reason.message);
	} else {
		rc = take_answers(run, job);
	}
	run->n_done++;
	if (rc == 0 && job->rc != -ECANCELED && run->options->progress)
		run->options->progress(run->options->progress_ctx, path, run->n_done, run->n_jobs);
	return rc;
}

static void job_tick(void *ctx, const struct lookup_job *job, size_t left)
{
	const struct run *run = ctx;
	/* before the first answer other news may be on their way: a download's */
	if (run->options->progress_within && left < job->n)
		run->options->progress_within(run->options->progress_ctx, job->request.path,
					      job->n - left, job->n);
}

/* Hot before cold ones, then by their share of the samples. */
static int compare_jobs(const void *left, const void *right)
{
	const struct lookup_job *a = left, *b = right;
	const struct query *a_query = a->owner, *b_query = b->owner;
	if (a_query->cold != b_query->cold)
		return a_query->cold ? 1 : -1;
	if (a->request.share_pct != b->request.share_pct)
		return a->request.share_pct > b->request.share_pct ? -1 : 1;
	return a_query < b_query ? -1 : a_query > b_query;
}

static int run_groups(struct run *run, struct query *queries, size_t n)
{
	CP_CLEANUP(cp_free) uint64_t *svmas = malloc((n + 1) * sizeof(*svmas));
	for (size_t i = 0; i < n; i += group_length(queries + i, n - i))
		run->n_jobs++;
	CP_CLEANUP(cp_free) struct lookup_job *jobs = calloc(run->n_jobs + 1, sizeof(*jobs));
	if (!svmas || !jobs)
		return -ENOMEM;
	for (size_t i = 0, job = 0; i < n; job++) {
		size_t length = group_length(queries + i, n - i);
		jobs[job] = (struct lookup_job){.request = request_for(run, queries + i),
						.svmas = svmas + i,
						.n = length,
						.owner = queries + i};
		for (size_t end = i + length; i < end; i++)
			svmas[i] = queries[i].svma;
	}
	if (run->n_jobs > 0)
		qsort(jobs, run->n_jobs, sizeof(*jobs), compare_jobs);
	const struct lookup_pool_options options = {.symbols = run->options,
						    .n_threads = run->options->n_threads,
						    .done = job_done,
						    .tick = job_tick,
						    .ctx = run};
	return lookup_pool_run(jobs, run->n_jobs, &options);
}

int symbolizer_run(struct profile *profile, const struct symbolizer_options *options,
		   struct symbolizer_stats *stats, struct cp_err *err)
{
	struct run run = {.profile = profile, .options = options};
	CP_CLEANUP(cp_free)
	struct query *queries = malloc((profile->n_locations + 1) * sizeof(*queries));
	CP_CLEANUP(cp_free) bool *hot = NULL;
	if (!queries)
		return cp_fail_nomem(err);
	int rc = options->deadline_ns ? hot_locations_find(profile, HOT_PCT, &hot) : 0;
	run.hot = hot;
	if (rc == 0)
		rc = module_shares_compute(profile, &run.shares);
	if (rc == 0) {
		run.stats.locations = collect_queries(&run, queries);
		rc = run_groups(&run, queries, run.stats.locations);
	}
	free(run.shares);
	if (stats)
		*stats = run.stats;
	return rc < 0 ? cp_fail_nomem(err) : 0;
}
