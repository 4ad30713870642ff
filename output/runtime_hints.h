/*
 * runtime_hints.h - how to see the own frames of python, node and java in the next recording.
 *
 * Depends on: base, profile, frames.h, measure.h, quality.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_RUNTIME_HINTS_H
#define CPROF_OUTPUT_RUNTIME_HINTS_H

#include "frames.h"
#include "measure.h"
#include "quality.h"

/**
 * Fill quality->runtime_hints for interpreters that hold a notable share of the samples, unless
 * frames of generated code have names already. quality->samples must be set.
 *
 * Return: 0 or -ENOMEM.
 */
int runtime_hints_find(const struct profile *profile, const struct frames *frames,
		       const struct measure *measure, struct quality *quality);

#endif
