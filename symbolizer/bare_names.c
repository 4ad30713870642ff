#include "bare_names.h"

#include "base/cleanup.h"
#include "demangle.h"

int bare_names_rewrite(struct profile *profile)
{
	for (size_t i = 0; i < profile->n_functions; i++) {
		struct profile_function *function = &profile->functions[i];
		CP_CLEANUP(cp_free)
		char *bare = demangle_bare(profile_text(profile, function->system_name));
		int rc = bare ? profile_string(profile, bare, &function->name) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}
