/*
 * symbol_reasons.h - which binaries of a profile lack symbols, as the symbolizer put it.
 *
 * Depends on: profile. Threads: any.
 */
#ifndef CPROF_OUTPUT_SYMBOL_REASONS_H
#define CPROF_OUTPUT_SYMBOL_REASONS_H

#include "profile/profile.h"

/** Call @each with the path and the reason of each; both are borrowed and may hold anything. */
void symbol_reasons_each(const struct profile *profile,
			 void (*each)(void *ctx, const char *module, const char *reason),
			 void *ctx);

#endif
