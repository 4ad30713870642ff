/*
 * recording.h - what `cprof record` does once its options are understood: record, give names,
 * summarise, judge.
 *
 * Depends on: capture, profile, symbolizer, output. Threads: the main one.
 */
#ifndef CPROF_CLI_RECORDING_H
#define CPROF_CLI_RECORDING_H

#include "capture/recorder.h"
#include "load.h"

struct recording_request {
	struct recorder_options
		recorder;            /* path, stop_fd and progress are set by recording_run() */
	const char *output;          /* "-" = standard output */
	struct load_symbols symbols; /* owned */
	bool no_symbols, quiet;
	bool gate; /* --min-quality was given */
	double min_quality_pct;
};

/** Do it. Return: the exit status. */
int recording_run(const struct recording_request *request);

#endif
