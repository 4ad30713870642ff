#include "output/report.h"

#include "base/text.h"
#include "cli.h"
#include "load.h"
#include "out_file.h"
#include "terminal.h"

#include <string.h>
#include <unistd.h>

enum { OPT_FORMAT, OPT_BY, OPT_SORT, OPT_LIMIT, OPT_FOCUS, OPT_IGNORE };

/* In the order of enum report_format, report_by and report_sort. */
static const char formats[] = "text|json|markdown";
static const char bys[] = "function|line|file|module|thread|process|state|lock";
static const char sorts[] = "self|total";

static const struct cli_option report_options_table[] = {
	[OPT_FORMAT] = {"format", 0, formats, NULL, "output format (default: text)"},
	[OPT_BY] = {"by", 0, bys, NULL,
		    "what a row is; state and lock are for recordings with --mode wall or offcpu: "
		    "what threads did, and which locks they waited for (default: function)"},
	[OPT_SORT] = {"sort", 0, sorts, NULL,
		      "order of the rows: time in the row itself, or with what it calls (default: "
		      "self)"},
	[OPT_LIMIT] = {"limit", 0, "N", NULL,
		       "rows at most; 0 = all (default: all in JSON, else 20)"},
	[OPT_FOCUS] =
		{"focus", 0, "RE", NULL,
		 "only samples with a frame whose name matches this extended regular expression"},
	[OPT_IGNORE] = {"ignore", 0, "RE", NULL, "no samples with such a frame"},
	{0},
};

struct report_arguments {
	struct report_options report;
	bool limit_given, none_left;
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct report_arguments *out = arguments;
	int choice = 0;
	uint64_t limit;
	switch (option) {
	case OPT_FORMAT:
		choice = options_choice(formats, value);
		out->report.format = (enum report_format)choice;
		break;
	case OPT_BY:
		choice = options_choice(bys, value);
		out->report.by = (enum report_by)choice;
		break;
	case OPT_SORT:
		choice = options_choice(sorts, value);
		out->report.sort = (enum report_sort)choice;
		break;
	case OPT_LIMIT:
		if (!cp_parse_u64(value, 0, UINT32_MAX, &limit))
			return cli_usage(self, "--limit %s: a whole number is needed", value);
		out->report.limit = limit;
		out->limit_given = true;
		break;
	case OPT_FOCUS:
		out->report.focus = value;
		break;
	default:
		out->report.ignore = value;
		break;
	}
	return choice < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
}

/* The report says so too, but a program that reads it, or takes its first row, does not see it. */
static void tell_none_left(const struct report_options *options)
{
	if (options->focus && options->ignore)
		cli_note("--focus '%s' and --ignore '%s' leave no sample", options->focus,
			 options->ignore);
	else if (options->focus)
		cli_note("--focus '%s': no sample has a function whose name matches; 'cprof "
			 "report --sort total --limit 0' lists the names",
			 options->focus);
	else
		cli_note("--ignore '%s': every sample has a function whose name matches",
			 options->ignore);
}

static int show(struct report_arguments *arguments)
{
	struct pprof_load_info info;
	struct profile *profile = load_with_names(arguments->report.path, &info);
	if (!profile)
		return CLI_FAILED;
	struct report_options *report = &arguments->report;
	if (!arguments->limit_given && report->format != REPORT_JSON)
		report->limit = 20;
	report->torn_bytes = info.torn_bytes;
	report->colour = terminal_colour(STDOUT_FILENO);
	report->width = terminal_width(STDOUT_FILENO);
	report->none_left = &arguments->none_left;
	struct out_file out;
	struct cp_err err = {""};
	int code = out_file_open(&out, NULL, &err);
	if (!code)
		code = report_write(profile, report, out.stream, &err);
	if (!code)
		code = out_file_commit(&out, &err);
	out_file_close(&out);
	profile_destroy(profile);
	if (!code && arguments->none_left)
		tell_none_left(report);
	return cli_output_status(code, &err);
}

static int report_run(const struct cli_command *self, int argc, char **argv)
{
	struct report_arguments arguments = {0};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first < 0)
		return status;
	if (!cli_one_file(self, argc, argv, first, &arguments.report.path))
		return CLI_USAGE;
	return show(&arguments);
}

static const char *const report_synopses[] = {"[FILE] [OPTION...]", NULL};

static const struct cli_example report_examples[] = {
	{"cprof report --by line --limit 5", "the five hottest source lines"},
	{"cprof report --by process", "who used the machine, of a recording with -a"},
	{"cprof report --by lock", "which locks were waited for, how long, and in which stacks"},
	{"cprof report --sort total --focus 'parse_'",
	 "what is going on below the functions with parse_ in their names"},
	{"cprof report --format json | jq '.hotspots[0]'", "the hottest function for a script"},
	{NULL, NULL},
};

const struct cli_command report_command = {
	.name = "report",
	.summary = "list the functions, lines, files, modules, threads, processes or locks that "
		   "use the "
		   "time",
	.synopses = report_synopses,
	.description =
		"Prints where the time of a profile (cprof.pb.gz, or FILE; \"-\" = standard input) "
		"went: what was measured, the hottest rows with their self and total time and "
		"their "
		"place in the source, and how far the numbers can be trusted."
		"\n\n"
		"Self is the time spent in a function itself; inlined code counts for the function "
		"that was inlined. Total includes what the function calls."
		"\n\n"
		"Of a recording with --mode wall or offcpu the rows are sorted by time, and "
		"percentages "
		"are of the time of all threads. A lock is the address of its futex in a process: "
		"mutexes, condition variables and joins; who held it is not known.",
	.options = report_options_table,
	.examples = report_examples,
	.run = report_run,
};
