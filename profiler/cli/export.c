#include "cli.h"
#include "heap_load.h"
#include "load.h"
#include "out_file.h"
#include "output/folded.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { OPT_FORMAT, OPT_LINES, OPT_OUTPUT, OPT_VALUE };
enum export_format { EXPORT_NONE = -1, EXPORT_FOLDED, EXPORT_PPROF };

static const char formats[] = "folded|pprof";
static const char values[] = HEAP_LOAD_VALUES;

static const struct cli_option export_options[] = {
	[OPT_FORMAT] = {"format", 0, formats, NULL, "what to write (must be given)"},
	[OPT_LINES] = {"lines", 0, NULL, NULL,
		       "folded: every frame as 'function (file:line)' where the line is known"},
	[OPT_OUTPUT] = {"output", 'o', "OUT", NULL, "write here instead of to standard output"},
	[OPT_VALUE] = {"value", 0, values, NULL,
		       "folded, of a heap file: live bytes, live at the peak, bytes allocated in "
		       "all, number of allocations (default: live); pprof has them all"},
	{0},
};

struct export_arguments {
	enum export_format format;
	struct folded_options folded;
	const char *input, *output;
	int value; /* enum heap_value; -1 = not given */
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct export_arguments *out = arguments;
	switch (option) {
	case OPT_FORMAT:
		out->format = (enum export_format)options_choice(formats, value);
		return out->format == EXPORT_NONE ? cli_bad_choice(self, option, value) : CLI_OK;
	case OPT_LINES:
		out->folded.lines = true;
		return CLI_OK;
	case OPT_VALUE:
		out->value = options_choice(values, value);
		return out->value < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
	default:
		out->output = value;
		return CLI_OK;
	}
}

static int write_folded(const struct profile *profile, const struct export_arguments *arguments)
{
	struct out_file out;
	struct cp_err err = {""};
	int code = out_file_open(&out, arguments->output, &err);
	if (!code)
		code = folded_write(profile, &arguments->folded, out.stream, &err);
	if (!code)
		code = out_file_commit(&out, &err);
	out_file_close(&out);
	return cli_output_status(code, &err);
}

static int write_pprof(const struct profile *profile, const char *path)
{
	if (!path)
		path = "-";
	if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
		return cli_fail("a pprof file is binary: use -o FILE, or a pipe");
	if (strcmp(path, "-") != 0 && out_file_is_special(path))
		return cli_fail("%s is no regular file: write to standard output instead", path);
	struct cp_err err = {""};
	int code = pprof_save(profile, path, &err);
	return cli_output_status(code == -EPIPE ? 0 : code, &err);
}

static int export_run(const struct cli_command *self, int argc, char **argv)
{
	struct export_arguments arguments = {.format = EXPORT_NONE, .value = -1};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first < 0)
		return status;
	if (!cli_one_file(self, argc, argv, first, &arguments.input))
		return CLI_USAGE;
	if (arguments.format == EXPORT_NONE)
		return cli_usage(self, "--format %s must be given", formats);
	if (arguments.folded.lines && arguments.format != EXPORT_FOLDED)
		return cli_usage(self,
				 "--lines is for --format folded: pprof always has the lines");
	if (arguments.value >= 0 && arguments.format != EXPORT_FOLDED)
		return cli_usage(self, "--value is for --format folded: pprof always has them all");
	const bool all = arguments.format == EXPORT_PPROF && heap_load_is_one(arguments.input);
	struct profile *profile =
		heap_load_any(arguments.input, all ? HEAP_VALUE_ALL : arguments.value);
	if (!profile)
		return CLI_FAILED;
	status = arguments.format == EXPORT_FOLDED ? write_folded(profile, &arguments)
						   : write_pprof(profile, arguments.output);
	profile_destroy(profile);
	return status;
}

static const char *const export_synopses[] = {"[FILE] --format folded|pprof [OPTION...]", NULL};

static const struct cli_example export_examples[] = {
	{"cprof export --format folded -o out.folded",
	 "one line per stack, for flamegraph.pl, inferno, grep and sort"},
	{"cprof export --format pprof -o out.pb.gz && go tool pprof -http=: out.pb.gz",
	 "the same profile in Go's browser interface"},
	{"cprof export --format pprof -o heap.pb.gz server.4711.cprof-heap && go tool pprof "
	 "-sample_index=inuse_space -top heap.pb.gz",
	 "a heap file as Go's tools expect heaps"},
	{NULL, NULL},
};

const struct cli_command export_command = {
	.name = "export",
	.summary = "write a profile in a format that other tools read",
	.synopses = export_synopses,
	.description =
		"Writes a profile (cprof.pb.gz, or FILE; \"-\" = standard input), or a heap file, "
		"in "
		"another format. "
		"A profile is a pprof file already; exporting it as pprof adds names where they "
		"were "
		"missing and makes one compressed stream of it."
		"\n\n"
		"folded: 'comm;root;...;leaf COUNT', sorted; kernel frames end in _[k], inlined "
		"ones "
		"in _[i], JIT compiled ones in _[j]; what has no name is [module] or [unknown]. "
		"Marks after comm: [truncated] and other reasons (see 'cprof report'): the outer "
		"functions are missing; [joined]: they are from beyond the copied stack; [depth]: "
		"the middle is left out, where [frames omitted] stands; [unseen]: of time spent "
		"waiting, no stack was taken; [inferred], [estimated]: the callers, or the stack, "
		"were concluded and not seen."
		"\n\n"
		"COUNT is a number of samples, or bytes of a heap file; of profiles recorded with "
		"--mode wall or offcpu, nanoseconds.",
	.options = export_options,
	.examples = export_examples,
	.run = export_run,
};
