#include "cli.h"
#include "load.h"
#include "out_file.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OPT_DEBUG_DIR };

static const struct cli_option symbolize_options[] = {
	[OPT_DEBUG_DIR] =
		{"debug-dir", 0, "DIR", NULL,
		 "look for debug files here first: DIR/.build-id/xx/yyyy.debug, or by the "
		 "binary's path below DIR; may be given more than once"},
	{0},
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	(void)self;
	(void)option;
	struct cp_err err;
	return load_add_debug_dir(arguments, value, &err) ? cli_fail("%s", err.message) : CLI_OK;
}

static void tell_what_was_found(const struct profile *profile, const char *path)
{
	size_t named = 0, lined = 0;
	for (size_t i = 0; i < profile->n_locations; i++) {
		const struct profile_location *location = &profile->locations[i];
		named += location->n_lines != 0;
		lined += location->n_lines != 0 && profile->lines[location->first_line].line != 0;
	}
	char all_text[CP_TEXT_MAX], named_text[CP_TEXT_MAX], lined_text[CP_TEXT_MAX];
	cli_note("%s: of %s addresses %s have a function name, %s a source line", path,
		 cp_format_count(profile->n_locations, all_text),
		 cp_format_count(named, named_text), cp_format_count(lined, lined_text));
}

static int symbolize_file(const char *path, const struct load_symbols *symbols)
{
	bool is_stdin = strcmp(path, "-") == 0;
	if (is_stdin && isatty(STDOUT_FILENO))
		return cli_fail("the profile would go to a terminal: redirect standard output");
	if (!is_stdin && out_file_is_special(path))
		return cli_fail("%s is no regular file", path);
	struct pprof_load_info info;
	struct profile *profile = load_profile(path, &info);
	if (!profile)
		return CLI_FAILED;
	struct cp_err err = {""};
	int status = CLI_FAILED;
	if (load_symbolize(profile, symbols) == 0) {
		int code = pprof_save(profile, path, &err);
		status = cli_output_status(code == -EPIPE ? 0 : code, &err);
	}
	if (status == CLI_OK)
		tell_what_was_found(profile, is_stdin ? "standard input" : path);
	profile_destroy(profile);
	return status;
}

static int symbolize_run(const struct cli_command *self, int argc, char **argv)
{
	struct load_symbols symbols = {0};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &symbols, &status);
	if (first >= 0 && argc - first != 1)
		status = cli_usage(self, first == argc ? "name the profile to symbolize"
						       : "one profile at a time");
	else if (first >= 0)
		status = symbolize_file(argv[first], &symbols);
	load_symbols_deinit(&symbols);
	return status;
}

static const char *const symbolize_synopses[] = {"FILE [OPTION...]", NULL};

static const struct cli_example symbolize_examples[] = {
	{"cprof symbolize cprof.pb.gz",
	 "after a recording with --no-symbols or one that was killed"},
	{"cprof symbolize prod.pb.gz --debug-dir ./debug",
	 "a profile from another machine; debug files are found by build-id"},
	{NULL, NULL},
};

const struct cli_command symbolize_command = {
	.name = "symbolize",
	.summary = "put names and lines into a profile, or mend one whose end was cut off",
	.synopses = symbolize_synopses,
	.description =
		"Looks up functions, source lines and inlined calls for a profile that has none, "
		"or "
		"not all: after `record --no-symbols`, after a recorder that was killed, after "
		"installing debug packages. The file is replaced as a whole; \"-\" reads standard "
		"input and writes standard output. A debug file is used only when its build-id is "
		"that of the binary that was recorded.",
	.options = symbolize_options,
	.examples = symbolize_examples,
	.run = symbolize_run,
};
