#include "debuginfod.h"

#include "base/text.h"
#include "output/remedy.h"
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t default_limit_ns = 60 * UINT64_C(1000000000);

static const char *urls_of_environment(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	return urls && *urls ? urls : NULL;
}

int debuginfod_choose(struct debuginfod_choice *choice, const char *value, struct cp_err *err)
{
	choice->off = value && strcmp(value, "no") == 0;
	if (choice->off)
		return 0;
	const char *urls = value ? value : urls_of_environment();
	if (!urls)
		urls = remedy_debuginfod_url(remedy_system());
	if (!urls || !*urls)
		return cp_fail(err, -EINVAL,
			       "--debuginfod: no server of this system is known: name one with "
			       "--debuginfod=URL");
	if (!debuginfod_query_available())
		return cp_fail(err, -EINVAL,
			       "--debuginfod needs libdebuginfod: apt install libdebuginfod1");
	choice->urls = urls;
	return 0;
}

int debuginfod_choose_limit(struct debuginfod_choice *choice, const char *value, struct cp_err *err)
{
	if (cp_parse_duration(value, &choice->limit_ns))
		return 0;
	return cp_fail(err, -EINVAL, "--debuginfod-limit %s: a time is expected, such as 30s",
		       value);
}

static void show_progress(void *ctx, const char *name, uint64_t bytes, uint64_t total_bytes)
{
	char done[CP_TEXT_MAX], total[CP_TEXT_MAX];
	(void)ctx;
	if (total_bytes)
		terminal_progress("fetching debug file: %s of %s  %s", cp_format_bytes(bytes, done),
				  cp_format_bytes(total_bytes, total), name);
	else
		terminal_progress("asking debuginfod  %s", name);
}

int debuginfod_open(const struct debuginfod_choice *choice, const volatile sig_atomic_t *cancel,
		    struct debuginfod_query **out)
{
	const struct debuginfod_query_options options = {
		.urls = choice->urls ? choice->urls : urls_of_environment(),
		.limit_ns = choice->limit_ns ? choice->limit_ns : default_limit_ns,
		.cancel = cancel,
		.progress = choice->quiet ? NULL : show_progress,
	};
	*out = NULL;
	return choice->off || !options.urls ? 0 : debuginfod_query_create(&options, out);
}
