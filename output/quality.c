#include "quality.h"

#include "frames.h"
#include "measure.h"
#include "profile/header_keys.h"
#include "runtime_hints.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples by the module of their leaf. */
struct module_sums {
	int64_t samples, named, lined;
};

/* The frame that a stack's samples are in, or NULL for the empty stack. */
static const struct frame *leaf_frame(const struct profile *profile, const struct frames *frames,
				      stack_id stack)
{
	if (stack.v == STACK_NONE.v)
		return NULL;
	size_t n;
	const frame_id *ids =
		frames_of_location(frames, stack_store_leaf(&profile->stacks, stack), &n);
	return frames_get(frames, ids[0]);
}

/* How many of the lost records can have been the target's samples. */
static void judge_losses(const struct profile *profile, struct quality *quality)
{
	const char *scope = profile_header_get(profile, HEADER_LOST_SCOPE);
	const uint64_t rate_hz = profile_header_u64(profile, HEADER_RATE_HZ, 0);
	quality->lost_of_cpus = scope && strcmp(scope, HEADER_LOST_SCOPE_CPUS) == 0;
	quality->lost_most = quality->lost;
	if (quality->sampled_cpu_ns && quality->target_cpu_ns > quality->sampled_cpu_ns)
		quality->uncovered_cpu_ns = quality->target_cpu_ns - quality->sampled_cpu_ns;
	if (quality->lost_of_cpus && rate_hz && quality->sampled_cpu_ns && quality->target_cpu_ns) {
		const double most = ceil((double)quality->uncovered_cpu_ns / 1e9 * (double)rate_hz);
		if (most < (double)quality->lost)
			quality->lost_most = (uint64_t)most;
	}
	if (quality->lost_most)
		quality->lost_pct = 100.0 * (double)quality->lost_most /
				    ((double)quality->lost_most + (double)quality->counted);
}

/* What the samples that are gone would have amounted to: as much each as those that are there. */
static int64_t amount_gone(const struct quality *quality)
{
	const double gone = (double)quality->lost_most + (double)quality->untracked;
	if (quality->counted <= 0)
		return 0;
	const double value = gone * ((double)quality->samples / (double)quality->counted);
	return value < (double)(INT64_MAX / 2) ? (int64_t)llrint(value) : INT64_MAX;
}

static void add_to(int64_t *sum, int64_t value)
{
	*sum = amount_sum(*sum, value);
}

static void count_by_kind(const struct profile_sample_key *key, int64_t value,
			  struct quality *quality)
{
	add_to(&quality->samples, value);
	add_to(&quality->stops[key->stop], value);
	add_to(&quality->joined[key->joined], value);
	add_to(&quality->inferred[key->inferred], value);
	if (cp_stop_has_root(key->stop))
		add_to(&quality->complete, value);
	if (cp_stop_has_root(key->stop) && key->joined == CP_JOINED_NO)
		add_to(&quality->complete_alone, value);
}

static void compute_shares(struct quality *quality, int64_t symbolized, int64_t lined)
{
	const int64_t samples = quality->samples;
	int64_t joined = 0, inferred = 0;
	for (int i = CP_JOINED_NO + 1; i < CP_JOINED_COUNT; i++)
		add_to(&joined, quality->joined[i]);
	for (int i = CP_INFERRED_NO + 1; i < CP_INFERRED_COUNT; i++)
		add_to(&inferred, quality->inferred[i]);
	quality->complete_pct = amount_pct(quality->complete, samples);
	quality->complete_alone_pct = amount_pct(quality->complete_alone, samples);
	quality->too_deep = quality->stops[CP_STOP_DEPTH];
	quality->too_deep_pct = amount_pct(quality->too_deep, samples);
	quality->joined_pct = amount_pct(joined, samples);
	quality->inferred_pct = amount_pct(inferred, samples);
	quality->symbolized_pct = amount_pct(symbolized, samples);
	quality->lines_pct = amount_pct(lined, samples);
}

static void count_samples(const struct profile *profile, const struct frames *frames,
			  const struct measure *measure, struct quality *quality,
			  struct module_sums *sums)
{
	int64_t symbolized = 0, lined = 0, good = 0, cpu_ns = 0;
	for (size_t i = 0; i < profile->n_samples; i++) {
		const struct profile_sample_key *key = &profile->samples[i];
		struct amount amount = measure_of_sample(measure, profile, i);
		const struct frame *leaf = leaf_frame(profile, frames, key->stack);
		bool named = leaf && leaf->symbolized;
		bool has_line = leaf && leaf->line;
		count_by_kind(key, amount.value, quality);
		add_to(&quality->counted, measure->count_column >= 0 ? amount.count : amount.value);
		add_to(&cpu_ns, amount.cpu_ns);
		add_to(&symbolized, named ? amount.value : 0);
		add_to(&lined, has_line ? amount.value : 0);
		add_to(&good, cp_stop_has_root(key->stop) && named ? amount.value : 0);
		if (!leaf)
			continue;
		add_to(&quality->kernel, leaf->kernel ? amount.value : 0);
		location_id location = stack_store_leaf(&profile->stacks, key->stack);
		struct module_sums *module = &sums[profile->locations[location.v].module.v];
		add_to(&module->samples, amount.value);
		add_to(&module->named, named ? amount.value : 0);
		add_to(&module->lined, has_line ? amount.value : 0);
	}
	quality->sampled_cpu_ns = cpu_ns > 0 ? (uint64_t)cpu_ns : 0;
	compute_shares(quality, symbolized, lined);
	judge_losses(profile, quality);
	quality->score_pct = amount_pct(good, amount_sum(quality->samples, amount_gone(quality)));
}

static void read_header(const struct profile *profile, struct quality *quality)
{
	quality->lost = profile_header_u64(profile, HEADER_LOST, 0);
	quality->throttled = profile_header_u64(profile, HEADER_THROTTLED, 0);
	quality->untracked = profile_header_u64(profile, HEADER_UNTRACKED, 0);
	quality->target_cpu_ns = profile_header_u64(profile, HEADER_TARGET_USER_NS, 0) +
				 profile_header_u64(profile, HEADER_TARGET_SYSTEM_NS, 0);
	uint64_t frames = profile_header_u64(profile, HEADER_FRAMES, 0);
	uint64_t by_fp = profile_header_u64(profile, HEADER_FP_FRAMES, 0);
	if (frames && by_fp <= frames)
		quality->fp_frames_pct = 100.0 * (double)by_fp / (double)frames;
}

static void judge_coverage(const struct profile *profile, struct quality *quality)
{
	const char *kernel = profile_header_get(profile, HEADER_KERNEL);
	if (kernel && strcmp(kernel, "hidden") == 0 &&
	    quality->target_cpu_ns > quality->sampled_cpu_ns)
		quality->invisible_cpu_ns = quality->target_cpu_ns - quality->sampled_cpu_ns;
}

static bool is_generated(const char *path)
{
	return strncmp(path, PROFILE_PATH_JIT, strlen(PROFILE_PATH_JIT)) == 0;
}

/* Whether a path can have debug information that somebody could add. */
static bool can_be_mended(const char *path, bool has_functions, const char *reason)
{
	if (strcmp(path, PROFILE_PATH_KERNEL) == 0)
		return !has_functions; /* it never has lines */
	if (is_generated(path))
		return !has_functions || reason; /* few runtimes tell lines */
	return path[0] != '\0' && path[0] != '[';
}

/* The modules of a quality while they are being listed. */
struct module_list {
	const struct profile *profile;
	struct quality *quality;
	struct cp_index index; /* over quality->modules */
};

static bool same_binary(const void *key, const void *owner, uint32_t id)
{
	const struct module_list *list = owner;
	const struct profile_module *a = key;
	const struct profile_module *b =
		&list->profile->modules[list->quality->modules[id].module.v];
	return a->path.v == b->path.v && a->build_id.v == b->build_id.v;
}

/* Two segments of one binary are one module to people. Return: NULL when out of memory. */
static struct quality_module *find_module(struct module_list *list, module_id id)
{
	struct quality *quality = list->quality;
	const struct profile_module *module = &list->profile->modules[id.v];
	uint64_t hash = cp_hash_mix(module->path.v, module->build_id.v);
	uint32_t known = cp_index_find(&list->index, hash, same_binary, module, list);
	if (known != CP_INDEX_NONE)
		return &quality->modules[known];
	if (cp_index_add(&list->index, hash, (uint32_t)quality->n_modules))
		return NULL;
	struct quality_module *added = &quality->modules[quality->n_modules++];
	*added = (struct quality_module){
		.module = id,
		.path = profile_text(list->profile, module->path),
		.build_id = profile_text(list->profile, module->build_id),
	};
	return added;
}

static int most_samples_first(const void *a, const void *b)
{
	const struct quality_module *x = a, *y = b;
	if (x->samples != y->samples)
		return x->samples > y->samples ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Why symbolization of a module failed, when it left a note: @out, or NULL. */
static int find_reason(const struct profile *profile, const char *path, const char **out)
{
	char *key;
	if (asprintf(&key, "symbols.%s", path) < 0)
		return -ENOMEM;
	*out = profile_header_get(profile, key);
	if (*out && !**out)
		*out = NULL;
	free(key);
	return 0;
}

/* Those that have samples and lack something that could be had. */
static int collect_modules(struct module_list *list, const struct module_sums *sums)
{
	const struct profile *profile = list->profile;
	for (size_t i = 0; i < profile->n_modules; i++) {
		const struct profile_module *module = &profile->modules[i];
		const char *path = profile_text(profile, module->path);
		const char *reason;
		if (sums[i].samples <= 0)
			continue;
		if (find_reason(profile, path, &reason))
			return -ENOMEM;
		/*
		 * Other producers' profiles may have names without saying so in the flags; and a
		 * table of exported functions alone names next to nothing.
		 */
		bool named = sums[i].named > sums[i].samples / 2 ||
			     (module->has_functions && sums[i].named > sums[i].samples / 20);
		bool lined = module->has_lines || sums[i].lined > sums[i].samples / 2;
		if ((named && lined && !reason) || !can_be_mended(path, named, reason))
			continue;
		struct quality_module *to = find_module(list, (module_id){(uint32_t)i});
		if (!to)
			return -ENOMEM;
		to->samples = amount_sum(to->samples, sums[i].samples);
		to->has_functions = to->has_functions || named;
		to->has_lines = to->has_lines || lined || (named && is_generated(path));
		to->reason = reason;
	}
	return 0;
}

static int list_modules(const struct profile *profile, const struct module_sums *sums,
			struct quality *quality)
{
	quality->modules = calloc(profile->n_modules + 1, sizeof(*quality->modules));
	if (!quality->modules)
		return -ENOMEM;
	struct module_list list = {.profile = profile, .quality = quality};
	int rc = collect_modules(&list, sums);
	cp_index_deinit(&list.index);
	if (rc)
		return rc;
	for (size_t i = 0; i < quality->n_modules; i++) {
		struct quality_module *module = &quality->modules[i];
		module->share_pct = amount_pct(module->samples, quality->samples);
	}
	qsort(quality->modules, quality->n_modules, sizeof(*quality->modules), most_samples_first);
	return 0;
}

static void find_remedies(struct quality *quality, const struct remedy_source *source)
{
	struct remedy_request requests[QUALITY_MAX_REMEDIES] = {0};
	size_t n = 0;
	for (; n < quality->n_modules && n < QUALITY_MAX_REMEDIES; n++) {
		const struct quality_module *module = &quality->modules[n];
		if (module->share_pct < QUALITY_REMEDY_PCT)
			break;
		requests[n].path = module->path;
		requests[n].build_id = module->build_id;
		requests[n].has_functions = module->has_functions;
		requests[n].reason = module->reason;
	}
	if (n == 0)
		return;
	struct remedy_note note;
	remedy_find(source, requests, n, &note);
	quality->remedy_note = note.text;
	quality->remedy_command = note.command;
	for (size_t i = 0; i < n; i++)
		quality->modules[i].remedy = requests[i].remedy;
}

static int compute(const struct profile *profile, const struct remedy_source *source,
		   struct quality *quality)
{
	struct measure measure;
	struct frames *frames;
	if (measure_choose(profile, &measure, NULL))
		return -ENODATA;
	if (frames_create(profile, &frames))
		return -ENOMEM;
	struct module_sums *sums = calloc(profile->n_modules + 1, sizeof(*sums));
	int rc = sums ? 0 : -ENOMEM;
	if (!rc) {
		read_header(profile, quality);
		count_samples(profile, frames, &measure, quality, sums);
		judge_coverage(profile, quality);
		rc = list_modules(profile, sums, quality);
	}
	if (!rc)
		rc = quality_find_ends(profile, &measure, quality);
	if (!rc)
		rc = runtime_hints_find(profile, frames, &measure, quality);
	free(sums);
	frames_destroy(frames);
	if (!rc && source)
		find_remedies(quality, source);
	return rc;
}

int quality_compute(const struct profile *profile, struct quality **out)
{
	return quality_compute_from(profile, remedy_system(), out);
}

int quality_compute_from(const struct profile *profile, const struct remedy_source *source,
			 struct quality **out)
{
	struct quality *quality = calloc(1, sizeof(*quality));
	if (!quality)
		return -ENOMEM;
	int rc = compute(profile, source, quality);
	if (rc) {
		quality_destroy(quality);
		return rc;
	}
	*out = quality;
	return 0;
}

void quality_destroy(struct quality *quality)
{
	if (!quality)
		return;
	for (size_t i = 0; i < quality->n_modules; i++)
		free(quality->modules[i].remedy);
	for (size_t i = 0; i < quality->n_runtime_hints; i++)
		free(quality->runtime_hints[i]);
	free(quality->ends);
	free(quality->modules);
	free(quality->remedy_command);
	free(quality);
}
