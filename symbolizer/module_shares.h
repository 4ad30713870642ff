/*
 * module_shares.h - how much of a profile's samples each module is part of.
 *
 * What is slow (a download) is done only for modules that matter.
 *
 * Depends on: profile. Threads: any.
 */
#ifndef CPROF_SYMBOLIZER_MODULE_SHARES_H
#define CPROF_SYMBOLIZER_MODULE_SHARES_H

#include "profile/profile.h"

/**
 * Per module: the share in percent of the samples with a frame in it, by the first value type;
 * 100 for all when the profile has no samples.
 *
 * @out: profile->n_modules of them; the caller frees it
 * Return: 0 or -ENOMEM.
 */
int module_shares_compute(const struct profile *profile, double **out);

#endif
