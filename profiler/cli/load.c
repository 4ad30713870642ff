#include "load.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "heap_load.h"
#include "profile/header_keys.h"
#include "symbolizer/answer_cache.h"
#include "symbolizer/bare_names.h"
#include "symbolizer/jit_code.h"
#include "symbolizer/jit_times.h"
#include "symbolizer/symbolizer.h"
#include "terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int add_debug_dir(struct load_symbols *symbols, const char *path, struct cp_err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return cp_fail(err, -errno, "--debug-dir %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cp_fail(err, -ENOTDIR, "--debug-dir %s: no directory", path);
	const char **slot =
		CP_ARRAY_PUSH(symbols->debug_dirs, symbols->n_debug_dirs, symbols->cap_debug_dirs);
	if (!slot)
		return cp_fail_nomem(err);
	*slot = path;
	return 0;
}

static int set_budget(struct load_symbols *symbols, const char *value, struct cp_err *err)
{
	if (!cp_parse_duration(value, &symbols->budget_ns))
		return cp_fail(err, -EINVAL,
			       "--symbol-budget %s: give a time such as 10, 500ms, 1.5s or 2m",
			       value);
	return 0;
}

bool load_take_option(const struct cli_command *command, int option, const char *value,
		      struct load_symbols *out, int *status)
{
	struct cp_err err;
	int code = 0;
	switch (option) {
	case LOAD_DEBUG_DIR:
		code = add_debug_dir(out, value, &err);
		break;
	case LOAD_DEBUGINFOD:
		code = debuginfod_choose(&out->debuginfod, value, &err);
		break;
	case LOAD_DEBUGINFOD_LIMIT:
		code = debuginfod_choose_limit(&out->debuginfod, value, &err);
		break;
	case LOAD_SYMBOL_BUDGET:
		code = set_budget(out, value, &err);
		break;
	case LOAD_SOURCE_PREFIX:
		code = source_prefixes_add(&out->prefixes, value, &err);
		break;
	case LOAD_NO_PARAMETERS:
		out->bare_names = true;
		break;
	case LOAD_NO_CACHE:
		out->no_cache = true;
		break;
	default:
		return false;
	}
	*status = CLI_OK;
	/* what a server or this machine lacks is no mistake of the command line */
	if (code == -EINVAL && option != LOAD_DEBUGINFOD)
		*status = cli_usage(command, "%s", err.message);
	else if (code < 0)
		*status = cli_fail("%s", err.message);
	return true;
}

struct symbolizer_options load_symbolizer_options(const struct load_symbols *symbols,
						  char cache_dir[PATH_MAX])
{
	struct symbolizer_options options = {
		.debug_dirs = symbols->debug_dirs,
		.n_debug_dirs = symbols->n_debug_dirs,
		.root_pid = symbols->root_pid,
		.kept_files = symbols->kept_files,
		.jit_files = symbols->jit_files,
		.cancel = symbols->cancel,
	};
	struct timespec now;
	if (!symbols->no_cache && answer_cache_default_dir(cache_dir, PATH_MAX))
		options.cache_dir = cache_dir;
	if (symbols->budget_ns && clock_gettime(CLOCK_MONOTONIC, &now) == 0)
		options.deadline_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec +
				      (int64_t)symbols->budget_ns;
	return options;
}

void load_symbols_deinit(struct load_symbols *symbols)
{
	free(symbols->debug_dirs);
	source_prefixes_deinit(&symbols->prefixes);
	*symbols = (struct load_symbols){0};
}

struct profile *load_profile(const char *path, struct pprof_load_info *info)
{
	bool is_stdin = strcmp(path, "-") == 0;
	if (is_stdin && isatty(STDIN_FILENO)) {
		cli_fail("a profile is expected on standard input, which is a terminal");
		return NULL;
	}
	if (!is_stdin && heap_load_is_one(path)) {
		cli_fail("%s is a heap file: 'cprof heap report %s' reports on it", path, path);
		return NULL;
	}
	struct profile *profile;
	struct cp_err err = {""};
	int code = pprof_load(path, &profile, info, &err);
	if (code == -ENOENT && strcmp(path, CLI_DEFAULT_PROFILE) == 0) {
		cli_fail("%s\nRecord one here with 'cprof record -p PID', or name a profile.",
			 err.message);
		return NULL;
	}
	if (code) {
		cli_fail("%s", err.message);
		return NULL;
	}
	if (info->torn_bytes) {
		char repair[512] = "";
		if (!is_stdin)
			snprintf(repair, sizeof(repair), "; 'cprof symbolize %s' repairs the file",
				 path);
		cli_warn("%s: the last %" PRIu64
			 " bytes are an append that was cut off and were left"
			 " out%s",
			 is_stdin ? "standard input" : path, info->torn_bytes, repair);
	}
	return profile;
}

static void show_progress(void *ctx, const char *path, size_t done, size_t total)
{
	const struct load_symbols *symbols = ctx;
	if (!symbols->quiet)
		terminal_progress("symbolizing %zu/%zu %s", done, total, path ? path : "");
}

static void show_progress_within(void *ctx, const char *path, size_t done, size_t total)
{
	const struct load_symbols *symbols = ctx;
	if (!symbols->quiet)
		terminal_progress("symbolizing %s: %zu of %zu addresses", path, done, total);
}

/* Whether more may be found for a module now: it has no lines, or its header names what it lacks.
 */
static bool lacks_something(const struct profile *profile, const struct profile_module *module)
{
	char key[PATH_MAX + sizeof(SYMBOLIZER_REASON_PREFIX)];
	snprintf(key, sizeof(key), "%s%s", SYMBOLIZER_REASON_PREFIX,
		 profile_text(profile, module->path));
	const char *reason = profile_header_get(profile, key);
	return !module->has_lines ||
	       (reason && reason[0] && !strstr(reason, SYMBOLIZER_REASON_TIME));
}

/* Its names are of a moment: what is written about it now may be of later code, or of another
 * process of its number. */
static bool is_generated(const struct profile *profile, const struct profile_module *module)
{
	pid_t pid;
	return jit_code_process(profile_text(profile, module->path), &pid);
}

/* Take the names off the locations of such modules. Return: what there was, or NULL. */
static struct profile_location *set_names_aside(struct profile *profile)
{
	size_t bytes = profile->n_locations * sizeof(*profile->locations);
	struct profile_location *before = calloc(1, bytes + 1);
	CP_CLEANUP(cp_free) bool *lacking = calloc(profile->n_modules + 1, sizeof(*lacking));
	if (!before || !lacking) {
		free(before);
		return NULL;
	}
	if (bytes)
		memcpy(before, profile->locations, bytes);
	for (size_t i = 0; i < profile->n_modules; i++)
		lacking[i] = lacks_something(profile, &profile->modules[i]) &&
			     !is_generated(profile, &profile->modules[i]);
	for (size_t i = 0; i < profile->n_locations; i++) {
		struct profile_location *location = &profile->locations[i];
		if (lacking[location->module.v])
			location->n_lines = 0;
	}
	return before;
}

/* Debug files may have gone since: of two answers the one with a line, or more calls, is kept. */
static void restore_better_names(struct profile *profile, const struct profile_location *before,
				 size_t n_before)
{
	for (size_t i = 0; i < n_before; i++) {
		struct profile_location *now = &profile->locations[i];
		bool had_line = before[i].n_lines && profile->lines[before[i].first_line].line != 0;
		bool has_line = now->n_lines && profile->lines[now->first_line].line != 0;
		if (now->n_lines && had_line <= has_line &&
		    (!had_line || now->n_lines >= before[i].n_lines))
			continue;
		now->first_line = before[i].first_line;
		now->n_lines = before[i].n_lines;
	}
}

static void tell_unused(const struct source_prefixes *prefixes)
{
	for (size_t i = 0; i < prefixes->n; i++) {
		const struct source_prefix *rule = &prefixes->rules[i];
		if (rule->n_moved == 0)
			cli_note("--source-prefix %s=%s: no function has a source file there",
				 source_prefix_old(rule), rule->replacement);
	}
}

int load_symbolize(struct profile *profile, const struct load_symbols *symbols)
{
	CP_CLEANUP(cp_free) struct profile_location *before = set_names_aside(profile);
	struct load_symbols progress_ctx = *symbols;
	struct debuginfod_choice choice = symbols->debuginfod;
	struct debuginfod_query *debuginfod = NULL;
	choice.quiet = symbols->quiet;
	int code = before ? debuginfod_open(&choice, symbols->cancel, &debuginfod) : -ENOMEM;
	char cache_dir[PATH_MAX];
	struct symbolizer_options options = load_symbolizer_options(symbols, cache_dir);
	options.debuginfod = debuginfod;
	options.progress = show_progress;
	options.progress_within = show_progress_within;
	options.progress_ctx = &progress_ctx;
	struct symbolizer_stats stats = {0};
	struct cp_err err = {""};
	size_t n_before = profile->n_locations, n_functions = profile->n_functions;
	if (!symbols->quiet)
		terminal_progress("symbolizing %zu addresses", n_before);
	CP_CLEANUP(jit_times_deinit) struct jit_times times = {0};
	if (!code)
		code = jit_times_split(profile, symbols->jit_files, &times);
	code = code ? cp_fail_nomem(&err) : symbolizer_run(profile, &options, &stats, &err);
	if (!code)
		code = jit_times_tell(&times, profile);
	debuginfod_query_destroy(debuginfod);
	if (before)
		restore_better_names(profile, before, n_before);
	if (!code)
		code = source_prefixes_rewrite(&symbols->prefixes, profile, n_functions);
	if (!code && symbols->bare_names)
		code = bare_names_rewrite(profile);
	if (!code && !(symbols->cancel && *symbols->cancel))
		code = profile_header_set(profile, HEADER_SYMBOLIZED, "yes");
	terminal_progress_end();
	if (!code && !symbols->quiet && stats.not_reached && !(symbols->cancel && *symbols->cancel))
		cli_note("--symbol-budget: the time was over before %zu of %zu addresses; 'cprof "
			 "symbolize' looks them up",
			 stats.not_reached, stats.locations);
	if (!code && !symbols->quiet)
		tell_unused(&symbols->prefixes);
	if (code)
		cli_fail("%s", err.message[0] ? err.message : strerror(-code));
	return code;
}

static bool has_names(const struct profile *profile)
{
	if (profile_header_get(profile, HEADER_SYMBOLIZED))
		return true;
	/* a profile of somebody else: names are the producer's affair unless there are none */
	if (profile_header_get(profile, HEADER_CPROF_VERSION))
		return profile->n_locations == 0;
	for (size_t i = 0; i < profile->n_locations; i++)
		if (profile->locations[i].n_lines)
			return true;
	return profile->n_locations == 0;
}

struct profile *load_with_names(const char *path, struct pprof_load_info *info)
{
	struct profile *profile = load_profile(path, info);
	if (!profile || has_names(profile))
		return profile;
	cli_note("%s holds no names yet: looking them up in this machine's binaries%s%s%s",
		 strcmp(path, "-") == 0 ? "the profile" : path,
		 strcmp(path, "-") == 0 ? "" : " ('cprof symbolize ",
		 strcmp(path, "-") == 0 ? "" : path, strcmp(path, "-") == 0 ? "" : "' keeps them)");
	const struct load_symbols symbols = {0};
	if (load_symbolize(profile, &symbols) == 0)
		return profile;
	profile_destroy(profile);
	return NULL;
}
