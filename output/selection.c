#include "selection.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>

enum { UNSEEN, NO, YES };

/*
 * Set hits[stack] for all stacks that have a frame matching @expression. Parents come before
 * children in the store, so a stack inherits its caller's answer in one pass.
 */
static int find_matches(const struct profile *profile, const struct frames *frames,
			const regex_t *expression, bool *hits)
{
	uint32_t max_name = 0;
	for (uint32_t i = 0; i < frames_count(frames); i++) {
		uint32_t name = frames_get(frames, (frame_id){i})->name.v;
		max_name = name > max_name ? name : max_name;
	}
	unsigned char *by_name = calloc((size_t)max_name + 1, 1);
	if (!by_name)
		return -ENOMEM;
	for (uint32_t s = 1; s < profile->stacks.n; s++) {
		stack_id stack = {s};
		hits[s] = hits[stack_store_parent(&profile->stacks, stack).v];
		size_t n;
		const frame_id *ids =
			frames_of_location(frames, stack_store_leaf(&profile->stacks, stack), &n);
		for (size_t i = 0; i < n && !hits[s]; i++) {
			string_id name = frames_get(frames, ids[i])->name;
			if (by_name[name.v] == UNSEEN)
				by_name[name.v] = regexec(expression, frames_text(frames, name), 0,
							  NULL, 0) == 0
							  ? YES
							  : NO;
			hits[s] = by_name[name.v] == YES;
		}
	}
	free(by_name);
	return 0;
}

/* Clear selected[] where the stacks' answer to @expression is not @wanted. */
static int apply(const struct profile *profile, const struct frames *frames, bool *selected,
		 const char *option, const char *expression, bool wanted, struct cp_err *err)
{
	if (!expression)
		return 0;
	regex_t compiled;
	int bad = regcomp(&compiled, expression, REG_EXTENDED | REG_NOSUB);
	if (bad) {
		char why[256];
		regerror(bad, &compiled, why, sizeof(why));
		return cp_fail(err, -EINVAL, "%s: '%s' is not an extended regular expression: %s",
			       option, expression, why);
	}
	bool *hits = calloc(profile->stacks.n, sizeof(*hits));
	int rc = hits ? find_matches(profile, frames, &compiled, hits) : -ENOMEM;
	for (size_t s = 0; s < profile->stacks.n && !rc; s++)
		selected[s] = selected[s] && hits[s] == wanted;
	free(hits);
	regfree(&compiled);
	return rc ? cp_fail_nomem(err) : 0;
}

int selection_init(struct selection *selection, const struct profile *profile,
		   const struct frames *frames, const char *focus, const char *ignore,
		   struct cp_err *err)
{
	selection->selected = NULL;
	if (!focus && !ignore)
		return 0;
	bool *selected = malloc(profile->stacks.n * sizeof(*selected));
	if (!selected)
		return cp_fail_nomem(err);
	for (size_t s = 0; s < profile->stacks.n; s++)
		selected[s] = true;
	int rc = apply(profile, frames, selected, "--focus", focus, true, err);
	if (!rc)
		rc = apply(profile, frames, selected, "--ignore", ignore, false, err);
	if (rc)
		free(selected);
	else
		selection->selected = selected;
	return rc;
}

void selection_deinit(struct selection *selection)
{
	free(selection->selected);
	selection->selected = NULL;
}
