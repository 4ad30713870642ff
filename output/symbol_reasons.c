#include "symbol_reasons.h"

#include <string.h>

/* symbolizer.h has the same: output does not depend on it. */
static const char prefix[] = "symbols.";

void symbol_reasons_each(const struct profile *profile,
			 void (*each)(void *ctx, const char *module, const char *reason), void *ctx)
{
	const size_t n = strlen(prefix);
	for (size_t i = 0; i < profile->n_header; i++) {
		const struct profile_header_entry *entry = &profile->header[i];
		if (strncmp(entry->key, prefix, n) == 0 && entry->value[0])
			each(ctx, entry->key + n, entry->value);
	}
}
