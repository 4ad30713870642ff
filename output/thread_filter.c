#include "thread_filter.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

int thread_filter_match(const struct profile *profile, const char *thread_re, bool **out,
			struct cp_err *err)
{
	bool *wanted = calloc(profile->n_threads + 1, sizeof(*wanted));
	if (!wanted)
		return cp_fail_nomem(err);
	if (!thread_re) {
		memset(wanted, true, profile->n_threads * sizeof(*wanted));
		*out = wanted;
		return 0;
	}
	regex_t re;
	int code = regcomp(&re, thread_re, REG_EXTENDED | REG_NOSUB);
	if (code) {
		char reason[128];
		regerror(code, &re, reason, sizeof(reason));
		free(wanted);
		return cp_fail(err, -EINVAL, "not a regular expression: \"%s\": %s", thread_re,
			       reason);
	}
	for (size_t i = 0; i < profile->n_threads; i++) {
		const struct profile_thread *thread = &profile->threads[i];
		wanted[i] = regexec(&re, profile_text(profile, thread->comm), 0, NULL, 0) == 0 ||
			    regexec(&re, profile_text(profile, thread->name), 0, NULL, 0) == 0;
	}
	regfree(&re);
	*out = wanted;
	return 0;
}

/* Append "name" to the list unless it is there already or does not fit. */
static void add_name(char *list, size_t cap, const char *name)
{
	size_t used = strlen(list), n = strlen(name);
	if (n == 0 || used + n + 5 > cap)
		return;
	char quoted[64];
	if (n + 3 > sizeof(quoted))
		return;
	quoted[0] = '"';
	memcpy(quoted + 1, name, n);
	memcpy(quoted + 1 + n, "\"", 2);
	if (strstr(list, quoted))
		return;
	if (used) {
		memcpy(list + used, ", ", 2);
		used += 2;
	}
	memcpy(list + used, quoted, n + 3);
}

int thread_filter_fail(const struct profile *profile, const char *thread_re, struct cp_err *err)
{
	char list[400] = "";
	for (size_t i = 0; i < profile->n_threads; i++) {
		add_name(list, sizeof(list), profile_text(profile, profile->threads[i].comm));
		add_name(list, sizeof(list), profile_text(profile, profile->threads[i].name));
	}
	return cp_fail(err, -ENODATA, "no sample is of a thread that matches \"%s\"; there are: %s",
		       thread_re, list[0] ? list : "threads without a name only");
}
