/*
 * remedy.h - what would bring the missing symbols of a binary: a package, a command, a build flag.
 *
 * The system that reports is asked which package owns a file (on Debian and its relatives through
 * dpkg). Tests put their own answers in its place.
 *
 * Depends on: base, profile (names of pseudo-files). Threads: any.
 */
#ifndef CPROF_OUTPUT_REMEDY_H
#define CPROF_OUTPUT_REMEDY_H

#include <stdbool.h>
#include <stddef.h>

struct remedy_source {
	/*
	 * Find the packages that own files: packages[i] = its name (allocated), or stays NULL.
	 * Return: true when there is a package database to ask.
	 */
	bool (*find_packages)(void *ctx, const char *const *paths, size_t n, char **packages);
	bool (*file_exists)(void *ctx, const char *path);
	void *ctx;
	const char *os_id;       /* os-release(5) ID: "debian", "ubuntu"; "" = unknown */
	const char *os_codename; /* VERSION_CODENAME; "" = unknown */
};

struct remedy_request {
	const char *path;
	const char *build_id; /* "" = none */
	bool has_functions;   /* only lines are missing */
	const char *reason;   /* why, as the symbolizer put it; NULL = unknown */
	/* the answer: one sentence, the caller frees it; NULL: the reason says it, or out of memory
	 */
	char *remedy;
};

/* What the answers presuppose. */
struct remedy_note {
	const char *text; /* a sentence without its end; static; NULL = nothing needs saying */
	char *command;    /* that does it, the caller frees it; NULL = none known */
};

/**
 * Answer a set of requests with one look-up.
 *
 * @note: where -dbgsym packages come from, when an answer names one
 * Context: the system's source runs a program and waits for it, at most a few seconds.
 */
void remedy_find(const struct remedy_source *source, struct remedy_request *requests, size_t n,
		 struct remedy_note *note);

/** The debuginfod server of a system's distribution, or NULL. */
const char *remedy_debuginfod_url(const struct remedy_source *source);

/** The system we run on. Valid as long as the process. */
const struct remedy_source *remedy_system(void);

#endif
