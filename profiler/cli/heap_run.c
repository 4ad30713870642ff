#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "heap/heap_program.h"
#include "heap_child.h"
#include "heap_ended.h"
#include "heap_environment.h"
#include "heap_files.h"
#include "heap_library.h"
#include "heap_view.h"

#include <errno.h>
#include <regex.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPT_SAMPLED, OPT_FOLLOW, OPT_OUTPUT, OPT_QUIET, OPT_UNFREED, OPT_MIN_AGE, OPT_SUPPRESSIONS };

/* As Go's and tcmalloc's heap samplers have it. */
enum { DEFAULT_SAMPLE_BYTES = 512 * 1024, PATIENCE_TICKS = 50 };

static const struct cli_option heap_run_options[] = {
	[OPT_SAMPLED] = {"sampled", 0, "[=BYTES]", NULL,
			 "record a sample of blocks, one each BYTES on average (default: 512K): "
			 "estimates with 95 % intervals, at hardly any cost"},
	[OPT_FOLLOW] = {"follow", 0, "no|all|REGEX", NULL,
			"of the processes that CMD starts: none, all with those only forked, or "
			"programs whose name matches (default: all that are executed)"},
	[OPT_OUTPUT] = {"output", 'o', "FILE", NULL,
			"where the heap file is moved at the end; %p = pid (default: "
			"CMD.PID.cprof-heap)"},
	[OPT_QUIET] = {"quiet", 'q', NULL, NULL,
		       "no summary, unless a gate says no or cannot tell"},
	[OPT_UNFREED] = {"fail-on-unfreed", 0, "[=BYTES]", "Gate",
			 "exit with 3 when more than BYTES (default: 0) are not freed at the end, "
			 "with 4 when that cannot be told; a CMD that failed passes its own status "
			 "on"},
	[OPT_MIN_AGE] = {"min-age", 0, "TIME", NULL,
			 "only blocks that are at least this old at the end"},
	[OPT_SUPPRESSIONS] = {"suppressions", 0, "FILE", NULL,
			      "do not count what these rules match, one leak:PATTERN per line as "
			      "for LeakSanitizer"},
	{0},
};

struct heap_run_arguments {
	struct heap_view view;
	uint64_t sample_bytes;
	const char *follow, *output;
	bool quiet;
};

/* A run in progress. */
struct heap_run {
	const struct heap_run_arguments *arguments;
	const char *command;
	struct heap_files files;
	struct heap_child child;
	struct heap_program program;
	uint64_t end_ns; /* CLOCK_MONOTONIC */
	unsigned ticks;
	bool warned;
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct heap_run_arguments *out = arguments;
	switch (option) {
	case OPT_SAMPLED:
		out->sample_bytes = DEFAULT_SAMPLE_BYTES;
		if (value && (!cp_parse_bytes(value, &out->sample_bytes) || !out->sample_bytes ||
			      out->sample_bytes > UINT64_C(1) << 40))
			return cli_usage(self, "--sampled=%s: use a number of bytes such as 512K",
					 value);
		break;
	case OPT_FOLLOW:
		out->follow = value;
		break;
	case OPT_OUTPUT:
		if (!*value)
			return cli_usage(self, "-o needs the name of a file");
		out->output = value;
		break;
	case OPT_QUIET:
		out->quiet = true;
		break;
	case OPT_UNFREED:
		return heap_view_take(self, HEAP_VIEW_UNFREED, value, &out->view);
	case OPT_MIN_AGE:
		return heap_view_take(self, HEAP_VIEW_MIN_AGE, value, &out->view);
	default:
		return heap_view_take(self, HEAP_VIEW_SUPPRESSIONS, value, &out->view);
	}
	return CLI_OK;
}

static void warn_unrecorded(struct heap_run *run)
{
	char reason[PATH_MAX + 512];
	const char *why = heap_program_reason(&run->program, reason, sizeof(reason));
	run->warned = true;
	if (heap_ended_is_pattern(run->arguments->follow))
		cli_warn("nothing is recorded: no program that was run has a name that matches %s",
			 run->arguments->follow);
	else if (why[0] && run->program.state != HEAP_PROGRAM_UNKNOWN)
		cli_warn("nothing is recorded. %s", why);
	else
		cli_warn("nothing is recorded: libcprof_heap.so was not loaded into %s, or could "
			 "make no file at %s",
			 run->program.path, run->files.pattern);
}

/* Soon after the start: a soak test of days shall not end with "nothing was recorded". */
static bool check_handshake(void *ctx)
{
	struct heap_run *run = ctx;
	if (heap_files_has(&run->files, run->child.pid))
		return false;
	if (++run->ticks < PATIENCE_TICKS)
		return true;
	warn_unrecorded(run);
	return false;
}

/* That the command was recorded, or why not. Return: false when it was not. */
static bool check_recorded(struct heap_run *run)
{
	bool root = false, empty = true;
	for (size_t i = 0; i < run->files.n; i++) {
		root = root || run->files.made[i].pid == (uint32_t)run->child.pid;
		empty = empty && run->files.made[i].empty;
	}
	if (run->files.n == 0 || (!root && !heap_ended_is_pattern(run->arguments->follow))) {
		if (!run->warned)
			warn_unrecorded(run);
		return false;
	}
	if (empty && run->program.state == HEAP_PROGRAM_OWN_MALLOC)
		warn_unrecorded(run);
	return true;
}

static int finish(struct heap_run *run)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	run->end_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	struct cp_err err = {""};
	const struct heap_ended ended = {
		.view = &run->arguments->view,
		.files = &run->files,
		.root = run->child.pid,
		.follow = run->arguments->follow,
		.quiet = run->arguments->quiet,
	};
	const bool gate_wanted = heap_view_has_gate(ended.view);
	int failed = heap_files_find(&run->files, &err);
	if (failed)
		cli_fail("%s", err.message);
	heap_files_note_end(&run->files, run->child.pid, run->end_ns);
	heap_ended_select(&ended);
	const bool recorded = check_recorded(run);
	failed = heap_files_move(&run->files, run->child.pid, run->command, run->arguments->output,
				 &err);
	if (failed)
		cli_fail("%s; the heap file stays where it is", err.message);
	const enum heap_gate_result gate = heap_ended_report(&ended);
	const int status = heap_child_status(&run->child);
	if (status)
		return status;
	if (gate_wanted && gate == HEAP_GATE_FAIL)
		return CLI_GATE;
	if (gate_wanted && (!recorded || gate != HEAP_GATE_PASS))
		return CLI_NO_VERDICT;
	return failed ? CLI_FAILED : CLI_OK;
}

static int run_command(const struct heap_run_arguments *arguments, const char *library,
		       char **command)
{
	struct heap_run run = {.arguments = arguments, .command = command[0]};
	struct cp_err err = {""};
	if (heap_files_init(&run.files, command[0], &err))
		return cli_fail("%s", err.message);
	heap_program_check(command[0], &run.program);
	/* a sanitizer's runtime ends the program when another library comes before it */
	const bool preload = run.program.state != HEAP_PROGRAM_SANITIZED;
	const struct heap_child_settings settings = {
		.library = preload ? library : NULL,
		.output = run.files.pattern,
		.follow = arguments->follow,
		.sample_bytes = arguments->sample_bytes,
		.root_is_no_exception = heap_ended_is_pattern(arguments->follow),
	};
	if (run.program.state > HEAP_PROGRAM_UNKNOWN && !heap_ended_is_pattern(arguments->follow))
		warn_unrecorded(&run);
	const int code = heap_child_start(command, &settings, &run.child, &err);
	if (code) {
		cli_fail("%s", err.message);
		return code == -ENOENT ? 127 : code == -EACCES ? 126 : CLI_FAILED;
	}
	heap_child_wait(&run.child,
			run.warned || heap_ended_is_pattern(arguments->follow) ? NULL
									       : check_handshake,
			&run);
	const int status = finish(&run);
	heap_files_deinit(&run.files);
	return status;
}

/* Before a run of hours, not behind it. Return: 0 or -errno with a message. */
static int check_output(const char *output, struct cp_err *err)
{
	struct stat st;
	char folder[PATH_MAX];
	if (!output)
		return 0;
	snprintf(folder, sizeof(folder), "%s", output);
	char *slash = strrchr(folder, '/');
	if (!slash)
		snprintf(folder, sizeof(folder), ".");
	else
		slash[slash == folder] = '\0';
	if (strstr(folder, "%p"))
		return 0; /* which one is known when the command runs */
	if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		return cp_fail(err, -EISDIR, "-o %s: is a directory, not a file", output);
	if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
		return cp_fail(err, -ENOTDIR, "-o %s: %s is no directory", output, folder);
	if (access(folder, W_OK | X_OK) != 0)
		return cp_fail(err, -errno, "-o %s: the directory %s: %s", output, folder,
			       strerror(errno));
	return 0;
}

static int heap_run_run(const struct cli_command *self, int argc, char **argv)
{
	struct heap_run_arguments arguments = {0};
	char library[PATH_MAX];
	struct cp_err err = {""};
	regex_t regex;
	int status;
	const int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first < 0)
		return status;
	if (first == argc)
		return cli_usage(self, "which command? cprof heap run -- CMD ARG...");
	if (heap_ended_is_pattern(arguments.follow)) {
		if (regcomp(&regex, arguments.follow, REG_EXTENDED | REG_NOSUB) != 0)
			return cli_usage(self, "--follow %s: no, all or a regular expression",
					 arguments.follow);
		regfree(&regex);
	}
	int wrong = heap_view_check(&arguments.view, &err);
	if (!wrong)
		wrong = heap_environment_check(&err);
	if (!wrong)
		wrong = check_output(arguments.output, &err);
	if (wrong) {
		cli_fail("%s", err.message);
		return wrong == -EINVAL ? CLI_USAGE : CLI_FAILED;
	}
	if (heap_library_find(library, &err)) {
		cli_fail("%s", err.message);
		return heap_view_has_gate(&arguments.view) ? CLI_NO_VERDICT : CLI_FAILED;
	}
	return run_command(&arguments, library, argv + first);
}

static const char *const heap_run_synopses[] = {"[OPTION...] -- CMD ARG...", NULL};

static const struct cli_example heap_run_examples[] = {
	{"cprof heap run -- ./server --port 8080", "then 'cprof heap report -p PID' at any time"},
	{"cprof heap run --fail-on-unfreed -- ./unit_tests",
	 "for a build: exit status 3 when something is not freed"},
	{"cprof heap run --sampled -- ./server", "cheap enough to leave on"},
	{"cprof heap run --follow '^redis' -- ./start.sh", "only the server, not its script"},
	{NULL, NULL},
};

const struct cli_command heap_run_command = {
	.name = "heap run",
	.summary = "run a command and keep all its live memory with its stacks in a file",
	.synopses = heap_run_synopses,
	.description =
		"Starts a command with libcprof_heap.so preloaded and checks that it took. Every "
		"live block is kept, with the stack that allocated it, in a heap file that can be "
		"read at any time while the command runs and that survives its being killed; its "
		"size follows the live memory, however long the command runs. At the end the file "
		"is moved to the working directory, and a summary says what was not freed."
		"\n\n"
		"Programs that are linked statically or set-user-ID, or that bring their own "
		"allocator or a sanitizer, cannot be recorded: cprof says so, runs them all the "
		"same, and no gate passes."
		"\n\n"
		"Growth is judged while CMD runs: 'cprof heap report -p PID' shows what piles up, "
		"and with --since COPY --fail-on-growth RATE it is a gate.",
	.options = heap_run_options,
	.examples = heap_run_examples,
	.operands_end_options = true,
	.run = heap_run_run,
};
