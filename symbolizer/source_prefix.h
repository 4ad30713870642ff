/*
 * source_prefix.h - source paths of the machine that compiled, turned into paths of this one.
 *
 * Debug information has the paths that the compiler saw: /build/redis-7.0.15/src/dict.c. A rule
 * "/build/redis-7.0.15=/home/me/redis" makes them paths that an editor can open. A rule's old
 * path stands for itself and what lies below it, never for a part of a name. Of several rules
 * that fit, the longest holds. Both are compared, and the result is told, without "." and "..":
 * "./a/../b.c" is "b.c".
 *
 * Rules are applied to answers, after all look-ups and caches: those keep the compiler's paths. A
 * profile remembers them (header_keys.h): the same rule once more changes nothing, another new path
 * for the same old one moves on what was moved, and names found later get what was given before.
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
	char *old;                   /* normalised; "" = "/", or "." */
	char *replacement;           /* as it was given */
	bool absolute;               /* the old one */
	size_t n_moved;              /* functions of profiles */
	struct source_prefix *given; /* of a rule that was made of another one: that; borrowed */
};

struct source_prefixes {
	struct source_prefix *rules;
	size_t n, cap;
};

/** The old path as people write it. */
static inline const char *source_prefix_old(const struct source_prefix *rule)
{
	return rule->old[0] ? rule->old : rule->absolute ? "/" : ".";
}

void source_prefixes_deinit(struct source_prefixes *prefixes);

/**
 * Add a rule.
 *
 * @rule: "OLD=NEW", cut at the first '='; NEW may be empty
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

/**
 * Put all functions of a profile under the rules. A rule whose n_moved is 0 then has done nothing.
 *
 * @n_before: of its functions, those that are from an earlier run; the rest are as looked up
 * Return: 0, -ENOMEM, -EOVERFLOW.
 */
int source_prefixes_rewrite(const struct source_prefixes *prefixes, struct profile *profile,
			    size_t n_before);

#endif
