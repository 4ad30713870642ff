/*
 * no_samples.h - why a recording has no samples, in words that help.
 *
 * Depends on: base, target_state.h. Threads: the main one.
 */
#ifndef CPROF_CLI_NO_SAMPLES_H
#define CPROF_CLI_NO_SAMPLES_H

#include "capture/recorder.h"
#include "target_state.h"

/**
 * Print the reason on standard error.
 * Return: true for a command that was merely too short for a sample, which is no failure.
 *
 * @before: the processes attached to, as they were at the start: options->n_pids of them; NULL with
 *          a command
 */
bool no_samples_explain(const struct recorder_options *options,
			const struct recorder_result *result, const struct target_state *before);

#endif
