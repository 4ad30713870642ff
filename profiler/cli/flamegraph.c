#include "output/flamegraph.h"

#include "cli.h"
#include "heap_load.h"
#include "load.h"
#include "out_file.h"

#include <string.h>
#include <unistd.h>

enum { OPT_OUTPUT, OPT_ICICLE, OPT_TITLE, OPT_THREAD, OPT_VALUE };

static const char default_output[] = "cprof.svg";
static const char values[] = HEAP_LOAD_VALUES;

static const struct cli_option flamegraph_options_table[] = {
	[OPT_OUTPUT] =
		{"output", 'o', "OUT.svg", NULL,
		 "write here; - = standard output (default: cprof.svg on a terminal, else standard "
		 "output)"},
	[OPT_ICICLE] = {"icicle", 0, NULL, NULL, "root at the top, stacks grow downward"},
	[OPT_TITLE] = {"title", 0, "T", NULL, "heading of the picture"},
	[OPT_THREAD] = {"thread", 0, "RE", NULL,
			"only threads whose own or whose process' name matches this extended "
			"regular expression"},
	[OPT_VALUE] = {"value", 0, values, NULL,
		       "of a heap file: live bytes, live at the peak, bytes allocated in all, "
		       "number of allocations (default: live)"},
	{0},
};

struct flamegraph_arguments {
	struct flamegraph_options flamegraph;
	const char *input, *output;
	int value; /* enum heap_value; -1 = not given */
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct flamegraph_arguments *out = arguments;
	switch (option) {
	case OPT_OUTPUT: {
		const char *dot = strrchr(value, '.');
		if (dot && strcmp(dot, ".html") == 0)
			return cli_usage(self, "%s: flame graphs are written as SVG: name it .svg",
					 value);
		out->output = value;
		break;
	}
	case OPT_ICICLE:
		out->flamegraph.icicle = true;
		break;
	case OPT_TITLE:
		out->flamegraph.title = value;
		break;
	case OPT_VALUE:
		out->value = options_choice(values, value);
		return out->value < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
	default:
		out->flamegraph.thread_re = value;
		break;
	}
	return CLI_OK;
}

static int draw(const struct flamegraph_arguments *arguments)
{
	struct profile *profile = heap_load_any(arguments->input, arguments->value);
	if (!profile)
		return CLI_FAILED;
	struct out_file out;
	struct cp_err err = {""};
	int code = out_file_open(&out, arguments->output, &err);
	if (!code)
		code = flamegraph_write(profile, &arguments->flamegraph, out.stream, &err);
	if (!code)
		code = out_file_commit(&out, &err);
	out_file_close(&out);
	profile_destroy(profile);
	return cli_output_status(code, &err);
}

static int flamegraph_run(const struct cli_command *self, int argc, char **argv)
{
	struct flamegraph_arguments arguments = {.value = -1};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first < 0)
		return status;
	if (!cli_one_file(self, argc, argv, first, &arguments.input))
		return CLI_USAGE;
	bool chosen = !arguments.output && isatty(STDOUT_FILENO);
	if (chosen)
		arguments.output = default_output;
	status = draw(&arguments);
	if (status == CLI_OK && chosen)
		cli_note("flame graph written to %s: open it in a browser", default_output);
	return status;
}

static const char *const flamegraph_synopses[] = {"[FILE] [-o OUT.svg] [OPTION...]", NULL};

static const struct cli_example flamegraph_examples[] = {
	{"cprof flamegraph -o flame.svg", "then open flame.svg in a browser"},
	{"cprof flamegraph --thread '^worker' -o workers.svg",
	 "only the threads whose names start with worker"},
	{"cprof flamegraph --value peak -o peak.svg server.4711.cprof-heap",
	 "whose memory was live when most was"},
	{NULL, NULL},
};

const struct cli_command flamegraph_command = {
	.name = "flamegraph",
	.summary = "draw a profile as an interactive SVG flame graph",
	.synopses = flamegraph_synopses,
	.description =
		"Draws a profile (cprof.pb.gz, or FILE; \"-\" = standard input), or a heap file, "
		"as "
		"one SVG file that "
		"needs nothing else: click a frame to zoom, search with Ctrl-F, hover for samples, "
		"share and place in the source. The width of a frame is its share of the time; the "
		"order from left to right means nothing."
		"\n\n"
		"Marks above a process: [truncated] and other reasons (see 'cprof report'): the "
		"outer functions of these stacks are missing; [joined]: they are from a moment "
		"later or before; [depth]: the middle is left out, where [frames omitted] stands. "
		"Of profiles of waiting (--mode wall, offcpu) too: [unseen]: no stack was taken; "
		"[inferred], [estimated]: the callers, or the stack, were concluded and not seen.",
	.options = flamegraph_options_table,
	.examples = flamegraph_examples,
	.run = flamegraph_run,
};
