/*
 * debuginfod.h - whether debug files are fetched from servers, and from which.
 *
 * Off unless DEBUGINFOD_URLS or --debuginfod says so: a profiler that asks strangers about every
 * binary it sees would tell them what runs here.
 *
 * Depends on: symbolizer. Threads: the main one.
 */
#ifndef CPROF_CLI_DEBUGINFOD_H
#define CPROF_CLI_DEBUGINFOD_H

#include "base/err.h"
#include "symbolizer/debuginfod_query.h"

struct debuginfod_choice {
	bool off;
	const char *urls;  /* of --debuginfod; NULL = $DEBUGINFOD_URLS, which may be none */
	uint64_t limit_ns; /* 0 = the default */
	bool quiet;        /* no progress */
};

#define DEBUGINFOD_HELP                                                                            \
	"fetch debug files that are not here, of modules that matter, from these servers "         \
	"(separated by spaces), by default those of DEBUGINFOD_URLS, else the one of this "        \
	"system's distribution; =no: never. Without this option DEBUGINFOD_URLS alone decides"
#define DEBUGINFOD_LIMIT_HELP "time for all of that together (default: 60s)"

/**
 * Take --debuginfod[=URLS].
 *
 * @value: NULL without "=URLS"
 * Return: 0; -EINVAL: no server is known, or libdebuginfod is missing: message.
 */
int debuginfod_choose(struct debuginfod_choice *choice, const char *value, struct cp_err *err);

/** Take --debuginfod-limit. Return: 0 or -EINVAL with a message. */
int debuginfod_choose_limit(struct debuginfod_choice *choice, const char *value,
			    struct cp_err *err);

/**
 * Make what the symbolizer asks.
 *
 * @cancel: see symbolizer.h
 * @out:    the caller's; NULL when nothing is to be fetched
 * Return: 0 or -ENOMEM.
 */
int debuginfod_open(const struct debuginfod_choice *choice, const volatile sig_atomic_t *cancel,
		    struct debuginfod_query **out);

#endif
