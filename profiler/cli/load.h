/*
 * load.h - a profile as the commands want it: read, its flaws told, with names.
 *
 * Depends on: profile, symbolizer. Threads: the main one.
 */
#ifndef CPROF_CLI_LOAD_H
#define CPROF_CLI_LOAD_H

#include "debuginfod.h"
#include "profile/pprof_file.h"
#include "profile/profile.h"
#include "symbolizer/source_prefix.h"
#include "symbolizer/symbolizer.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct load_symbols {
	const char **debug_dirs; /* of --debug-dir; owned array, borrowed strings */
	size_t n_debug_dirs, cap_debug_dirs;
	struct source_prefixes prefixes; /* of --source-prefix; owned */
	struct debuginfod_choice debuginfod;
	bool bare_names;                     /* C++ names without parameters */
	bool no_cache;                       /* neither use nor fill the cache of answers */
	uint64_t budget_ns;                  /* time that looking up may take; 0 = any */
	pid_t root_pid;                      /* see symbolizer.h */
	struct kept_files *kept_files;       /* see symbolizer.h; borrowed */
	struct jit_files *jit_files;         /* see symbolizer.h; borrowed */
	const volatile sig_atomic_t *cancel; /* see symbolizer.h */
	bool quiet;
};

/** Add a --debug-dir. Return: 0, or a negative errno value with a message. */
int load_add_debug_dir(struct load_symbols *symbols, const char *path, struct cp_err *err);

/* What the options of several commands say. */
#define LOAD_BUDGET_HELP                                                                           \
	"stop looking up names after this time (10, 500ms, 2m); what most samples are in comes "   \
	"first, 'cprof symbolize' does the rest"
#define LOAD_NO_CACHE_HELP                                                                         \
	"neither use nor fill the cache of names and lines found earlier, in "                     \
	"$XDG_CACHE_HOME/cprof or ~/.cache/cprof"

#define LOAD_SOURCE_PREFIX_HELP                                                                    \
	"source files below OLD, as the compiler saw them, are below NEW; may be given more "      \
	"than once, the longest OLD that fits holds"
#define LOAD_NO_PARAMETERS_HELP "C++ functions without their parameters: ns::f, not ns::f(int)"

/** Take the value of --symbol-budget. Return: 0, or -EINVAL with a message. */
int load_set_budget(struct load_symbols *symbols, const char *value, struct cp_err *err);

/**
 * What the symbolizer shall do, as far as it follows from the options.
 *
 * @cache_dir: room for a path; borrowed by the result
 */
struct symbolizer_options load_symbolizer_options(const struct load_symbols *symbols,
						  char cache_dir[PATH_MAX]);

void load_symbols_deinit(struct load_symbols *symbols);

/**
 * Read a profile. A cut tail gives a warning, and every failure its message, on standard error.
 *
 * @path: "-" = standard input
 * Return: the profile, the caller's; NULL on failure.
 */
struct profile *load_profile(const char *path, struct pprof_load_info *info);

/**
 * Give all locations names, with progress on a terminal. Locations that have names but no lines are
 * tried again (a debug package may have come since) and keep what they have when nothing is found.
 *
 * Return: 0 or a negative errno value, message printed.
 */
int load_symbolize(struct profile *profile, const struct load_symbols *symbols);

/**
 * load_profile(), and names in memory when the recorder had not put them into the file.
 *
 * Return: the profile, the caller's; NULL on failure.
 */
struct profile *load_with_names(const char *path, struct pprof_load_info *info);

#endif
