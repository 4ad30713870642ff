/*
 * source_prefix.h - source paths of the machine that compiled, turned into paths of this one.
 *
 * Debug information has the paths that the compiler saw: /build/redis-7.0.15/src/dict.c. A rule
 * "/build/redis-7.0.15=/home/me/redis" makes them paths that an editor can open. A rule's old
 * path stands for itself and what lies below it, never for a part of a name. Of several rules
 * that fit, the longest holds.
 *
 * Rules are applied to answers, after all look-ups and caches: those keep the compiler's paths.
 *
 * Depends on: base, profile. Threads: any, once the rules are in.
 */
#ifndef CPROF_SYMBOLIZER_SOURCE_PREFIX_H
#define CPROF_SYMBOLIZER_SOURCE_PREFIX_H

#include "base/err.h"
#include "profile/profile.h"

#include <stdbool.h>
#include <stddef.h>

struct source_prefix {
	const char *old; /* old_length bytes, without a slash at the end; borrowed */
	size_t old_length;
	const char *replacement; /* borrowed */
};

struct source_prefixes {
	struct source_prefix *rules;
	size_t n, cap;
};

void source_prefixes_deinit(struct source_prefixes *prefixes);

/**
 * Add a rule.
 *
 * @rule: "OLD=NEW", cut at the first '='; NEW may be empty. Borrowed until source_prefixes_deinit()
 * Return: 0; -EINVAL with a message: no '=', or nothing before it; -ENOMEM.
 */
int source_prefixes_add(struct source_prefixes *prefixes, const char *rule, struct cp_err *err);

/**
 * A path under the rules.
 *
 * @out: of @size bytes; used only when a rule fits
 * Return: @out, or @path as it is: no rule fits, or the result is too long.
 */
const char *source_prefixes_apply(const struct source_prefixes *prefixes, const char *path,
				  char *out, size_t size);

/** Put all functions of a profile under the rules. Return: 0, -ENOMEM, -EOVERFLOW. */
int source_prefixes_rewrite(const struct source_prefixes *prefixes, struct profile *profile);

#endif
