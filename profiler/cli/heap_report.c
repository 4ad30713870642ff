#include "base/text.h"
#include "cli.h"
#include "heap_list.h"
#include "heap_view.h"
#include "out_file.h"
#include "terminal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

enum {
	OPT_PID,
	OPT_FORMAT,
	OPT_BY,
	OPT_SORT,
	OPT_LIMIT,
	OPT_MIN_AGE,
	OPT_SINCE,
	OPT_SUPPRESSIONS,
	OPT_UNFREED,
	OPT_GROWTH,
};

/* A row in JSON has its stack: some kilobytes. */
enum { DEFAULT_ROWS = 10, DEFAULT_JSON_ROWS = 1000 };

/* In the order of enum report_format, heap_by and heap_sort. */
static const char formats[] = "text|json|markdown";
static const char bys[] = "site|function|file|module|thread";
static const char sorts[] = "live|peak|bytes|calls";

static const struct cli_option heap_report_options_table[] = {
	[OPT_PID] = {"pid", 'p', "PID", NULL, "the heap of this running process"},
	[OPT_FORMAT] = {"format", 0, formats, NULL, "output format (default: text)"},
	[OPT_BY] = {"by", 0, bys, NULL,
		    "what a row is: a stack, or the function, source file, binary in charge of "
		    "it, or the thread that allocated (default: site)"},
	[OPT_SORT] = {"sort", 0, sorts, NULL,
		      "order of the rows: live bytes, live at the peak, bytes allocated in all, "
		      "number of allocations (default: live)"},
	[OPT_LIMIT] = {"limit", 0, "N", NULL,
		       "rows at most; 0 = all (default: 1000 in JSON, else 10)"},
	[OPT_MIN_AGE] = {"min-age", 0, "TIME", NULL,
			 "only blocks that are at least this old, such as 60s or 10m"},
	[OPT_SINCE] = {"since", 0, "FILE", NULL,
		       "an earlier copy of the same heap file: only blocks allocated since, and "
		       "growth between the two"},
	[OPT_SUPPRESSIONS] = {"suppressions", 0, "FILE", NULL,
			      "do not count what these rules match, one leak:PATTERN per line as "
			      "for LeakSanitizer"},
	[OPT_UNFREED] = {"fail-on-unfreed", 0, "[=BYTES]", "Gates",
			 "exit with 3 when more than BYTES (default: 0) are not freed, with 4 when "
			 "that cannot be told"},
	[OPT_GROWTH] = {"fail-on-growth", 0, "RATE", NULL,
			"exit with 3 when memory piles up steadily by more than RATE, such as "
			"1MB/h, over the run, or is more by it than in the earlier copy; with 4 "
			"when that cannot be told"},
	{0},
};

struct heap_report_arguments {
	struct heap_view view;
	uint64_t pid;
	bool limit_given;
};

static int take_other(const struct cli_command *self, int option, const char *value,
		      struct heap_report_arguments *out)
{
	uint64_t number;
	switch (option) {
	case OPT_PID:
		if (!cp_parse_u64(value, 1, INT_MAX, &out->pid))
			return cli_usage(self, "-p %s: one process id is needed", value);
		break;
	case OPT_LIMIT:
		if (!cp_parse_u64(value, 0, UINT32_MAX, &number))
			return cli_usage(self, "--limit %s: a whole number is needed", value);
		out->view.report.limit = number;
		out->limit_given = true;
		break;
	case OPT_MIN_AGE:
		return heap_view_take(self, HEAP_VIEW_MIN_AGE, value, &out->view);
	case OPT_SUPPRESSIONS:
		return heap_view_take(self, HEAP_VIEW_SUPPRESSIONS, value, &out->view);
	case OPT_UNFREED:
		return heap_view_take(self, HEAP_VIEW_UNFREED, value, &out->view);
	default:
		return heap_view_take(self, HEAP_VIEW_GROWTH, value, &out->view);
	}
	return CLI_OK;
}

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct heap_report_arguments *out = arguments;
	int choice = 0;
	switch (option) {
	case OPT_FORMAT:
		choice = options_choice(formats, value);
		out->view.report.format = (enum report_format)choice;
		break;
	case OPT_BY:
		choice = options_choice(bys, value);
		out->view.report.by = (enum heap_by)choice;
		break;
	case OPT_SORT:
		choice = options_choice(sorts, value);
		out->view.report.sort = (enum heap_sort)choice;
		break;
	case OPT_SINCE:
		out->view.since = value;
		break;
	default:
		return take_other(self, option, value, out);
	}
	return choice < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
}

/* What keeps a gate from judging, apart from failures of ours. */
static int failed(const struct heap_report_arguments *arguments, int code, const struct cp_err *err)
{
	cli_fail("%s", err->message);
	if (code == -EINVAL)
		return CLI_USAGE;
	const bool nothing = code == -ENOENT || code == -ESRCH || code == -EAGAIN ||
			     code == -EACCES || code == -EPERM;
	return nothing && heap_view_has_gate(&arguments->view) ? CLI_NO_VERDICT : CLI_FAILED;
}

static int show(struct heap_report_arguments *arguments, struct heap_file *file)
{
	struct heap_report_options *report = &arguments->view.report;
	enum heap_gate_result gate = HEAP_GATE_NONE;
	struct out_file out;
	struct cp_err err = {""};
	if (!arguments->limit_given)
		report->limit = report->format == REPORT_JSON ? DEFAULT_JSON_ROWS : DEFAULT_ROWS;
	report->colour = terminal_colour(STDOUT_FILENO);
	report->width = terminal_width(STDOUT_FILENO);
	int code = out_file_open(&out, NULL, &err);
	if (!code)
		code = heap_view_write(file, &arguments->view, out.stream, &gate, &err);
	else
		heap_file_close(file);
	if (!code)
		code = out_file_commit(&out, &err);
	out_file_close(&out);
	if (code)
		return failed(arguments, code, &err);
	if (gate == HEAP_GATE_FAIL)
		return CLI_GATE;
	return gate == HEAP_GATE_UNKNOWN ? CLI_NO_VERDICT : CLI_OK;
}

static void say_left(const struct heap_list *list)
{
	char bytes[CP_TEXT_MAX];
	cli_note("%d of them, in /dev/shm, take%s %s of memory for processes that have ended: "
		 "move what you need to a disk ('cp --sparse=always'), and 'rm' the rest",
		 list->n_left, list->n_left == 1 ? "s" : "",
		 cp_format_bytes(list->left_bytes, bytes));
}

static int list_files(const struct heap_report_arguments *arguments)
{
	struct heap_list list;
	const int rc = heap_list(stdout, &list);
	if (rc)
		return cli_fail("%s", strerror(-rc));
	if (list.n == 0)
		cli_fail("no heap files in /dev/shm and here: record one with "
			 "'cprof heap run -- CMD'");
	else
		cli_note(
			"'cprof heap report FILE' or 'cprof heap report -p PID' shows one of them");
	if (list.n_left)
		say_left(&list);
	if (heap_view_has_gate(&arguments->view))
		return CLI_NO_VERDICT;
	return list.n ? CLI_OK : CLI_FAILED;
}

static int heap_report_run(const struct cli_command *self, int argc, char **argv)
{
	struct heap_report_arguments arguments = {0};
	struct heap_file file;
	struct cp_err err = {""};
	int status;
	const int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first < 0)
		return status;
	if (argc - first > 1)
		return cli_usage(self, "one file at a time: what is \"%s\"?", argv[first + 1]);
	if (arguments.pid && first < argc)
		return cli_usage(self, "-p PID or FILE, not both");
	/* a file that was named and cannot be read is a mistake, and no question of the gate's */
	const int wrong = heap_view_check(&arguments.view, &err);
	if (wrong) {
		cli_fail("%s", err.message);
		return wrong == -EINVAL ? CLI_USAGE : CLI_FAILED;
	}
	if (!arguments.pid && first == argc)
		return list_files(&arguments);
	const int code = arguments.pid ? heap_file_find((pid_t)arguments.pid, &file, &err)
				       : heap_file_open(argv[first], &file, &err);
	return code ? failed(&arguments, code, &err) : show(&arguments, &file);
}

static const char *const heap_report_synopses[] = {"[FILE | -p PID] [OPTION...]", NULL};

static const struct cli_example heap_report_examples[] = {
	{"cprof heap report", "which heap files are there?"},
	{"cprof heap report -p 4711", "what is live in a running process, without stopping it"},
	{"cp --sparse=always /dev/shm/*.4711.cprof-heap t0; sleep 10m; "
	 "cprof heap report -p 4711 --since t0 --min-age 60s",
	 "what grew in ten minutes, without what is about to be freed"},
	{"cprof heap report -p 4711 --since t0 --min-age 60s --fail-on-growth 1MB/h",
	 "for a soak test, while it runs: exit status 3 when it grew since"},
	{NULL, NULL},
};

const struct cli_command heap_report_command = {
	.name = "heap report",
	.summary = "tell what memory is not freed or grows, and who allocated it",
	.synopses = heap_report_synopses,
	.description =
		"Reports on a heap file, of a process that runs (which is not stopped) or has "
		"ended: first what is not freed or grows and which source line is in charge, then "
		"the places by live memory, what was allocated in all, sizes, what the process's "
		"resident memory consists of, and what was lost. Without arguments it lists the "
		"heap files in /dev/shm and in the working directory."
		"\n\n"
		"In charge of a block is the first function in its stack that is neither an "
		"allocator, nor a wrapper of one (xmalloc, g_malloc, operator new), nor code of a "
		"standard library. \"Not freed\" is not \"leaked\": memory that is still pointed "
		"to may be meant to live until the end.",
	.options = heap_report_options_table,
	.examples = heap_report_examples,
	.run = heap_report_run,
};
