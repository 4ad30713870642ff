#include "source_prefix.h"

#include "base/array.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

void source_prefixes_deinit(struct source_prefixes *prefixes)
{
	free(prefixes->rules);
	*prefixes = (struct source_prefixes){0};
}

/* Without the slashes at its end; "/" becomes "", which every absolute path lies below. */
static size_t bare_length(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] == '/')
		n--;
	return n;
}

int source_prefixes_add(struct source_prefixes *prefixes, const char *rule, struct cp_err *err)
{
	const char *equals = strchr(rule, '=');
	if (!equals || equals == rule)
		return cp_fail(err, -EINVAL,
			       "--source-prefix %s: give OLD=NEW, such as /build/x=/home/me/x",
			       rule);
	struct source_prefix *added = CP_ARRAY_PUSH(prefixes->rules, prefixes->n, prefixes->cap);
	if (!added)
		return cp_fail_nomem(err);
	*added = (struct source_prefix){.old = rule,
					.old_length = bare_length(rule, (size_t)(equals - rule)),
					.replacement = equals + 1};
	return 0;
}

static bool fits(const struct source_prefix *rule, const char *path)
{
	return strncmp(path, rule->old, rule->old_length) == 0 &&
	       (path[rule->old_length] == '/' || path[rule->old_length] == '\0');
}

const char *source_prefixes_apply(const struct source_prefixes *prefixes, const char *path,
				  char *out, size_t size)
{
	const struct source_prefix *best = NULL;
	for (size_t i = 0; i < prefixes->n; i++) {
		const struct source_prefix *rule = &prefixes->rules[i];
		if (path[0] && fits(rule, path) && (!best || rule->old_length >= best->old_length))
			best = rule;
	}
	if (!best)
		return path;
	const char *rest = path + best->old_length;
	size_t kept = bare_length(best->replacement, strlen(best->replacement));
	/* "OLD=": what lies below becomes a relative path */
	if (best->replacement[0] == '\0')
		rest += strspn(rest, "/");
	int n = snprintf(out, size, "%.*s%s", (int)kept, best->replacement, rest);
	return n > 0 && (size_t)n < size ? out : path;
}

int source_prefixes_rewrite(const struct source_prefixes *prefixes, struct profile *profile)
{
	char text[PATH_MAX];
	for (size_t i = 0; i < profile->n_functions && prefixes->n > 0; i++) {
		string_id *file = &profile->functions[i].file;
		const char *path = profile_text(profile, *file);
		const char *moved = source_prefixes_apply(prefixes, path, text, sizeof(text));
		int rc = moved == path ? 0 : profile_string(profile, moved, file);
		if (rc < 0)
			return rc;
	}
	return 0;
}
