#include "heap_environment.h"

#include "heap/heap_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int heap_environment_check(struct cp_err *err)
{
	for (size_t i = 0; i < HEAP_SETTING_NUMBERS; i++) {
		const struct heap_setting_number *number = &heap_setting_numbers[i];
		const char *text = getenv(number->name);
		uint64_t value;
		const bool own = i == HEAP_SETTING_SAMPLE_BYTES || i == HEAP_SETTING_ROOT_PID;
		if (own || !text || !text[0] ||
		    heap_setting_parse((enum heap_setting)i, text, &value))
			continue;
		return cp_fail(err, -EINVAL,
			       "%s=%s: a whole number from %" PRIu64 " to %" PRIu64 " is needed",
			       number->name, text, number->least, number->most);
	}
	return 0;
}
