/*
 * bare_names.h - C++ functions by their names alone, without parameters.
 *
 * Overloads are different functions, so names have their parameters wherever nobody asks
 * otherwise. Without them a profile's overloads of one name are shown as one.
 *
 * Depends on: base, profile, demangle. Threads: as the profile.
 */
#ifndef CPROF_SYMBOLIZER_BARE_NAMES_H
#define CPROF_SYMBOLIZER_BARE_NAMES_H

#include "profile/profile.h"

/** Take the parameters off all names of a profile. Return: 0, -ENOMEM, -EOVERFLOW. */
int bare_names_rewrite(struct profile *profile);

#endif
