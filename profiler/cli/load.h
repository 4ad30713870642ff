/*
 * load.h - a profile as the commands want it: read, its flaws told, with names.
 *
 * Depends on: profile, symbolizer. Threads: the main one.
 */
#ifndef CPROF_CLI_LOAD_H
#define CPROF_CLI_LOAD_H

#include "cli.h"
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

/* Options of every command that looks up names: their order in its table, from some place on. */
enum load_option {
	LOAD_DEBUG_DIR,
	LOAD_DEBUGINFOD,
	LOAD_DEBUGINFOD_LIMIT,
	LOAD_SYMBOL_BUDGET,
	LOAD_NO_CACHE,
	LOAD_SOURCE_PREFIX,
	LOAD_NO_PARAMETERS,
	LOAD_N_OPTIONS,
};

#define LOAD_DEBUG_DIR_HELP                                                                        \
	"look for debug files here first: DIR/.build-id/xx/yyyy.debug, or by the binary's path "   \
	"below DIR; may be given more than once"
#define LOAD_BUDGET_HELP                                                                           \
	"stop looking up names after this time (10, 500ms, 2m); what most samples are in comes "   \
	"first, 'cprof symbolize' does the rest. A debug file that is being opened is opened to "  \
	"the end"
#define LOAD_NO_CACHE_HELP                                                                         \
	"neither use nor fill the cache of names and lines found earlier, in "                     \
	"$XDG_CACHE_HOME/cprof or ~/.cache/cprof"
#define LOAD_SOURCE_PREFIX_HELP                                                                    \
	"source files below OLD, as the compiler saw them, are below NEW; may be given more "      \
	"than once, the longest OLD that fits holds. Compared without . and ..; given again, "     \
	"another NEW takes the place of the first"
#define LOAD_NO_PARAMETERS_HELP "C++ functions without their parameters: ns::f, not ns::f(int)"

#define LOAD_OPTION(index, name, arg, heading, help) [index] = {name, 0, arg, heading, help}

/* Their entries in the table of a command, from index @at on; @heading: of the group, or NULL. */
#define LOAD_OPTIONS(at, heading)                                                                  \
	LOAD_OPTION((at) + LOAD_DEBUG_DIR, "debug-dir", "DIR", heading, LOAD_DEBUG_DIR_HELP),      \
		LOAD_OPTION((at) + LOAD_DEBUGINFOD, "debuginfod", "[=URLS]", NULL,                 \
			    DEBUGINFOD_HELP),                                                      \
		LOAD_OPTION((at) + LOAD_DEBUGINFOD_LIMIT, "debuginfod-limit", "TIME", NULL,        \
			    DEBUGINFOD_LIMIT_HELP),                                                \
		LOAD_OPTION((at) + LOAD_SYMBOL_BUDGET, "symbol-budget", "TIME", NULL,              \
			    LOAD_BUDGET_HELP),                                                     \
		LOAD_OPTION((at) + LOAD_NO_CACHE, "no-cache", NULL, NULL, LOAD_NO_CACHE_HELP),     \
		LOAD_OPTION((at) + LOAD_SOURCE_PREFIX, "source-prefix", "OLD=NEW", NULL,           \
			    LOAD_SOURCE_PREFIX_HELP),                                              \
		LOAD_OPTION((at) + LOAD_NO_PARAMETERS, "no-parameters", NULL, NULL,                \
			    LOAD_NO_PARAMETERS_HELP)

/**
 * Take one of them.
 *
 * @option: index in the command's table, less that of the first of these
 * @status: set when it is one: CLI_OK, or the exit status (message printed)
 * Return: false when it is another option.
 */
bool load_take_option(const struct cli_command *command, int option, const char *value,
		      struct load_symbols *out, int *status);

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
