#include "source_prefix.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "profile/header_keys.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

void source_prefixes_deinit(struct source_prefixes *prefixes)
{
	for (size_t i = 0; i < prefixes->n; i++) {
		free(prefixes->rules[i].old);
		free(prefixes->rules[i].replacement);
	}
	free(prefixes->rules);
	*prefixes = (struct source_prefixes){0};
}

/* Without the slashes at its end; "/" becomes "". */
static size_t bare_length(const char *path, size_t n)
{
	while (n > 0 && path[n - 1] == '/')
		n--;
	return n;
}

/* Take the last part off. Return: false when there is none that ".." would take back. */
static bool drop_last(const char *path, size_t *n)
{
	size_t at = *n;
	while (at > 0 && path[at - 1] != '/')
		at--;
	if (*n == at || (*n - at == 2 && memcmp(path + at, "..", 2) == 0))
		return false;
	*n = at > 0 ? at - 1 : 0;
	return true;
}

/*
 * The path without "." and empty parts, ".." taken back where there is what it goes back from, no
 * slash at its end: "/" and "." become "". Links are not looked at: the files are elsewhere.
 *
 * @out: PATH_MAX bytes. Return: false when the path is too long.
 */
static bool normalise(const char *path, size_t length, char *out)
{
	const bool absolute = length > 0 && path[0] == '/';
	const char *end = path + length;
	size_t n = 0;
	if (length >= PATH_MAX)
		return false;
	while (path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		const size_t part = (size_t)((slash ? slash : end) - path);
		const bool is_up = part == 2 && memcmp(path, "..", 2) == 0;
		const bool is_empty = part == 0 || (part == 1 && path[0] == '.');
		if (!is_empty && !(is_up && (drop_last(out, &n) || absolute))) {
			if (absolute || n > 0)
				out[n++] = '/';
			memcpy(out + n, path, part);
			n += part;
		}
		path += part + (slash != NULL);
	}
	out[n] = '\0';
	return true;
}

static int add_rule(struct source_prefixes *prefixes, const char *old, size_t old_length,
		    const char *replacement, struct source_prefix *given)
{
	char normal[PATH_MAX];
	if (!normalise(old, old_length, normal))
		return -EINVAL;
	struct source_prefix rule = {
		.old = strdup(normal),
		.replacement = strdup(replacement),
		.absolute = old[0] == '/',
		.given = given,
	};
	struct source_prefix *added = CP_ARRAY_PUSH(prefixes->rules, prefixes->n, prefixes->cap);
	if (!rule.old || !rule.replacement || !added) {
		prefixes->n -= added != NULL;
		free(rule.old);
		free(rule.replacement);
		return -ENOMEM;
	}
	*added = rule;
	return 0;
}

int source_prefixes_add(struct source_prefixes *prefixes, const char *rule, struct cp_err *err)
{
	const char *equals = strchr(rule, '=');
	int rc = -EINVAL;
	if (equals && equals != rule)
		rc = add_rule(prefixes, rule, (size_t)(equals - rule), equals + 1, NULL);
	if (rc == -EINVAL)
		return cp_fail(err, rc,
			       "--source-prefix %s: give OLD=NEW, such as /build/x=/home/me/x",
			       rule);
	return rc < 0 ? cp_fail_nomem(err) : 0;
}

/* "." is what lies below the working directory of a compiler: not what ".." leads out of. */
static bool fits(const struct source_prefix *rule, const char *path, bool absolute)
{
	const size_t n = strlen(rule->old);
	if (rule->absolute != absolute || strncmp(path, rule->old, n) != 0)
		return false;
	return n > 0 ? path[n] == '/' || path[n] == '\0' : absolute || strncmp(path, "../", 3) != 0;
}

/* Return: the rule that holds, NULL: none, or the result is too long. */
static struct source_prefix *move(const struct source_prefixes *prefixes, const char *path,
				  char *out, size_t size)
{
	char normal[PATH_MAX];
	const bool absolute = path[0] == '/';
	struct source_prefix *best = NULL;
	if (!path[0] || prefixes->n == 0 || !normalise(path, strlen(path), normal))
		return NULL;
	for (size_t i = 0; i < prefixes->n; i++) {
		struct source_prefix *rule = &prefixes->rules[i];
		if (fits(rule, normal, absolute) &&
		    (!best || strlen(rule->old) >= strlen(best->old)))
			best = rule;
	}
	if (!best)
		return NULL;
	const char *rest = normal + strlen(best->old);
	const size_t kept = bare_length(best->replacement, strlen(best->replacement));
	/* "OLD=": what lies below becomes a relative path */
	const bool is_relative = best->replacement[0] == '\0';
	rest += strspn(rest, "/");
	const char *between = is_relative || (!rest[0] && kept > 0) ? "" : "/";
	const int n = snprintf(out, size, "%.*s%s%s", (int)kept, best->replacement, between, rest);
	return n > 0 && (size_t)n < size ? best : NULL;
}

const char *source_prefixes_apply(const struct source_prefixes *prefixes, const char *path,
				  char *out, size_t size)
{
	return move(prefixes, path, out, size) ? out : path;
}

/* The rule of the same old path, or NULL. */
static struct source_prefix *find_same(const struct source_prefixes *prefixes,
				       const struct source_prefix *rule)
{
	for (size_t i = prefixes->n; i-- > 0;)
		if (prefixes->rules[i].absolute == rule->absolute &&
		    strcmp(prefixes->rules[i].old, rule->old) == 0)
			return &prefixes->rules[i];
	return NULL;
}

/* What earlier runs have done to the profile. */
static int read_earlier(const struct profile *profile, struct source_prefixes *out)
{
	const size_t n = strlen(HEADER_SOURCE_PREFIX_PREFIX);
	int rc = 0;
	for (size_t i = 0; i < profile->n_header && rc == 0; i++) {
		const struct profile_header_entry *entry = &profile->header[i];
		if (strncmp(entry->key, HEADER_SOURCE_PREFIX_PREFIX, n) != 0)
			continue;
		rc = add_rule(out, entry->key + n, strlen(entry->key + n), entry->value, NULL);
		rc = rc == -EINVAL ? 0 : rc; /* another's comment */
	}
	return rc;
}

/*
 * The rules for paths that earlier ones were applied to: what these did is not done again, and what
 * they moved elsewhere is moved on.
 */
static int rules_of_moved(const struct source_prefixes *given,
			  const struct source_prefixes *earlier, struct source_prefixes *out)
{
	int rc = 0;
	for (size_t i = 0; i < given->n && rc == 0; i++) {
		struct source_prefix *rule = &given->rules[i];
		const struct source_prefix *same = find_same(earlier, rule);
		const char *old = same ? same->replacement : source_prefix_old(rule);
		if (same && strcmp(old, rule->replacement) == 0)
			rule->n_moved++;
		else if (old[0])
			rc = add_rule(out, old, strlen(old), rule->replacement, rule);
	}
	return rc == -EINVAL ? 0 : rc;
}

/* The rules for paths as the compiler saw them: earlier ones hold too, until another is given. */
static int rules_of_unmoved(const struct source_prefixes *given,
			    const struct source_prefixes *earlier, struct source_prefixes *out)
{
	const struct source_prefixes *const sets[] = {given, earlier};
	int rc = 0;
	for (int which = 0; which < 2; which++) {
		for (size_t i = 0; i < sets[which]->n && rc == 0; i++) {
			struct source_prefix *rule = &sets[which]->rules[i];
			const char *old = source_prefix_old(rule);
			if (sets[which] == earlier && find_same(given, rule))
				continue;
			rc = add_rule(out, old, strlen(old), rule->replacement,
				      sets[which] == given ? rule : NULL);
		}
	}
	return rc;
}

static int rewrite(const struct source_prefixes *prefixes, struct profile *profile, size_t first,
		   size_t end)
{
	char text[PATH_MAX];
	for (size_t i = first; i < end; i++) {
		string_id *file = &profile->functions[i].file;
		struct source_prefix *rule =
			move(prefixes, profile_text(profile, *file), text, sizeof(text));
		int rc = rule ? profile_string(profile, text, file) : 0;
		if (rc < 0)
			return rc;
		if (rule && rule->given)
			rule->given->n_moved++;
	}
	return 0;
}

/* So that another run knows. */
static int write_header(const struct source_prefixes *given, struct profile *profile)
{
	char key[PATH_MAX + sizeof(HEADER_SOURCE_PREFIX_PREFIX)];
	int rc = 0;
	for (size_t i = 0; i < given->n && rc == 0; i++) {
		const struct source_prefix *rule = &given->rules[i];
		snprintf(key, sizeof(key), "%s%s", HEADER_SOURCE_PREFIX_PREFIX,
			 source_prefix_old(rule));
		rc = profile_header_set(profile, key, rule->replacement);
	}
	return rc;
}

int source_prefixes_rewrite(const struct source_prefixes *prefixes, struct profile *profile,
			    size_t n_before)
{
	CP_CLEANUP(source_prefixes_deinit) struct source_prefixes earlier = {0};
	CP_CLEANUP(source_prefixes_deinit) struct source_prefixes of_moved = {0};
	CP_CLEANUP(source_prefixes_deinit) struct source_prefixes of_unmoved = {0};
	int rc = read_earlier(profile, &earlier);
	if (rc == 0)
		rc = rules_of_moved(prefixes, &earlier, &of_moved);
	if (rc == 0)
		rc = rules_of_unmoved(prefixes, &earlier, &of_unmoved);
	if (rc == 0)
		rc = rewrite(&of_moved, profile, 0, n_before);
	if (rc == 0)
		rc = rewrite(&of_unmoved, profile, n_before, profile->n_functions);
	return rc < 0 ? rc : write_header(prefixes, profile);
}
