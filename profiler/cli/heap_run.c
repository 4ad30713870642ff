#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "heap/heap_program.h"
#include "heap_child.h"
#include "heap_files.h"
#include "heap_view.h"
#include "terminal.h"

#include <errno.h>
#include <regex.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { OPT_SAMPLED, OPT_FOLLOW, OPT_OUTPUT, OPT_QUIET, OPT_UNFREED, OPT_MIN_AGE, OPT_SUPPRESSIONS };

/* As Go's and tcmalloc's heap samplers have it. */
enum { DEFAULT_SAMPLE_BYTES = 512 * 1024, PATIENCE_TICKS = 50, NOTES_MAX = 3 };

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
		out->output = value;
		break;
	case OPT_QUIET:
		out->quiet = true;
		break;
	case OPT_UNFREED:
		if (!heap_view_unfreed(&out->view, value))
			return cli_usage(self,
					 "--fail-on-unfreed=%s: use a number of bytes such as "
					 "64K or 1.5MB",
					 value);
		break;
	case OPT_MIN_AGE:
		if (!cp_parse_duration(value, &out->view.report.min_age_ns))
			return cli_usage(self, "--min-age %s: use a time such as 500ms, 60s or 2m",
					 value);
		break;
	default:
		out->view.suppressions = value;
		break;
	}
	return CLI_OK;
}

static bool is_pattern(const char *follow)
{
	return follow && strcmp(follow, "no") != 0 && strcmp(follow, "all") != 0;
}

static bool try_library(char out[PATH_MAX], const char *folder, const char *below)
{
	snprintf(out, PATH_MAX, "%.*s%s/libcprof_heap.so", PATH_MAX - 128, folder, below);
	return access(out, R_OK) == 0;
}

/* Beside the program, where it is installed, or where it is built. */
static int find_library(char out[PATH_MAX], struct cp_err *err)
{
	static const char *const places[] = {"", "/../lib", "/../lib/x86_64-linux-gnu", "/../lib64",
					     "/../heap/shim"};
	const char *given = secure_getenv("CPROF_HEAP_LIBRARY");
	char folder[PATH_MAX], found[PATH_MAX];
	bool ok = false;
	if (given && given[0]) {
		snprintf(found, sizeof(found), "%s", given);
		ok = true;
	} else {
		const ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
		folder[n > 0 ? n : 0] = '\0';
		char *slash = strrchr(folder, '/');
		if (slash)
			*slash = '\0';
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !ok; i++)
			ok = try_library(found, folder, places[i]);
		ok = ok || try_library(found, CPROF_LIBDIR, "");
	}
	if (!ok || !realpath(found, out))
		return cp_fail(err, -ENOENT,
			       "libcprof_heap.so was not found%s%s: set CPROF_HEAP_LIBRARY to its "
			       "path",
			       given ? " at " : "", given ? given : "");
	/* the loader splits the list there, and knows no way to quote */
	if (strpbrk(out, ": "))
		return cp_fail(err, -EINVAL,
			       "%s: the loader takes no library with a space or a colon in its "
			       "path; set CPROF_HEAP_LIBRARY to a copy elsewhere",
			       out);
	return 0;
}

static void warn_unrecorded(struct heap_run *run)
{
	char reason[PATH_MAX + 512];
	const char *why = heap_program_reason(&run->program, reason, sizeof(reason));
	run->warned = true;
	if (is_pattern(run->arguments->follow))
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

/* Which of the files count: all, or the programs that were asked for. */
static void select_files(struct heap_run *run)
{
	regex_t regex;
	const char *follow = run->arguments->follow;
	if (!is_pattern(follow) || regcomp(&regex, follow, REG_EXTENDED | REG_NOSUB) != 0)
		return;
	for (size_t i = 0; i < run->files.n; i++) {
		const char *slash = strrchr(run->files.made[i].exe, '/');
		const char *name = slash ? slash + 1 : run->files.made[i].exe;
		run->files.made[i].matches = regexec(&regex, name, 0, NULL, 0) == 0;
	}
	regfree(&regex);
}

static void say_where(const struct heap_made *made)
{
	if (made->state == HEAP_TARGET_RUNNING)
		cli_note("pid %u still runs: 'cprof heap report -p %u' tells about it", made->pid,
			 made->pid);
	else
		cli_note("'cprof heap report %s' tells more", made->path);
}

enum telling { TELL_ALWAYS, TELL_UNLESS_PASSED, TELL_FAILED, TELL_NEVER };

static bool is_told(enum telling telling, enum heap_gate_result gate)
{
	if (telling == TELL_ALWAYS || telling == TELL_NEVER)
		return telling == TELL_ALWAYS;
	return gate == HEAP_GATE_FAIL ||
	       (telling == TELL_UNLESS_PASSED && gate == HEAP_GATE_UNKNOWN);
}

/* Report on one file; the text goes to standard error, as the command's output is its own. */
static enum heap_gate_result judge(struct heap_run *run, const struct heap_made *made,
				   enum telling telling)
{
	CP_CLEANUP(cp_free) char *text = NULL;
	size_t n = 0;
	struct heap_file file;
	struct cp_err err = {""};
	enum heap_gate_result gate = HEAP_GATE_NONE;
	struct heap_view view = run->arguments->view;
	view.report.summary = true;
	view.report.colour = terminal_colour(STDERR_FILENO);
	view.report.width = terminal_width(STDERR_FILENO);
	FILE *out = open_memstream(&text, &n);
	if (!out)
		return HEAP_GATE_UNKNOWN;
	int rc = heap_file_open(made->path, &file, &err);
	if (!rc)
		rc = heap_view_write(&file, &view, out, &gate, &err);
	fclose(out);
	terminal_progress_end();
	if (rc) {
		cli_fail("%s", err.message);
		return HEAP_GATE_UNKNOWN;
	}
	if (is_told(telling, gate) && text) {
		fprintf(stderr, "\n%s", text);
		say_where(made);
	}
	return gate;
}

static enum heap_gate_result worse(enum heap_gate_result a, enum heap_gate_result b)
{
	if (a == HEAP_GATE_FAIL || b == HEAP_GATE_FAIL)
		return HEAP_GATE_FAIL;
	return a > b ? a : b;
}

static bool counts(const struct heap_run *run, const struct heap_made *made, size_t i)
{
	if (!made->matches)
		return false;
	/* a shell that became the program it was to run */
	for (size_t j = i + 1; j < run->files.n; j++)
		if (run->files.made[j].pid == made->pid)
			return false;
	return true;
}

/* The command itself: its last program, where one was replaced by another. */
static bool is_root(const struct heap_run *run, const struct heap_made *made)
{
	return made->pid == (uint32_t)run->child.pid;
}

/* Of all others a line, unless a gate fails on them. */
static enum heap_gate_result judge_others(struct heap_run *run, bool root_counts, size_t *n_others)
{
	const bool gate = run->arguments->view.report.fail_on_unfreed;
	enum heap_gate_result together = HEAP_GATE_NONE;
	size_t n_told = 0;
	for (size_t i = 0; i < run->files.n; i++) {
		const struct heap_made *made = &run->files.made[i];
		if (!counts(run, made, i) || (root_counts && is_root(run, made)))
			continue;
		++*n_others;
		if (!gate && (root_counts || n_told))
			continue;
		const bool first = !root_counts && n_told == 0 && !run->arguments->quiet;
		const enum telling telling = first                ? TELL_ALWAYS
					     : n_told < NOTES_MAX ? TELL_FAILED
								  : TELL_NEVER;
		const enum heap_gate_result result = judge(run, made, telling);
		together = worse(together, result);
		n_told += is_told(telling, result);
	}
	return together;
}

static void say_others(const struct heap_run *run, size_t n)
{
	if (n == 0 || run->arguments->quiet)
		return;
	cli_note("%zu other process%s recorded: 'cprof heap report' lists the files%s", n,
		 n == 1 ? " was" : "es were",
		 run->arguments->follow ? "" : "; --follow no records the command alone");
}

static enum heap_gate_result judge_all(struct heap_run *run)
{
	const bool gate = run->arguments->view.report.fail_on_unfreed;
	enum heap_gate_result together = HEAP_GATE_NONE;
	bool root_counts = false;
	size_t n_others = 0;
	for (size_t i = 0; i < run->files.n; i++) {
		const struct heap_made *made = &run->files.made[i];
		if (!counts(run, made, i) || !is_root(run, made))
			continue;
		root_counts = true;
		if (gate || !run->arguments->quiet)
			together = judge(run, made,
					 run->arguments->quiet ? TELL_UNLESS_PASSED : TELL_ALWAYS);
	}
	together = worse(together, judge_others(run, root_counts, &n_others));
	say_others(run, root_counts ? n_others : 0);
	return root_counts || n_others ? together : HEAP_GATE_UNKNOWN;
}

/* That the command was recorded, or why not. Return: false when it was not. */
static bool check_recorded(struct heap_run *run)
{
	bool root = false, empty = true;
	for (size_t i = 0; i < run->files.n; i++) {
		root = root || run->files.made[i].pid == (uint32_t)run->child.pid;
		empty = empty && run->files.made[i].empty;
	}
	if (run->files.n == 0 || (!root && !is_pattern(run->arguments->follow))) {
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
	const bool gate_wanted = run->arguments->view.report.fail_on_unfreed;
	int failed = heap_files_find(&run->files, &err);
	if (failed)
		cli_fail("%s", err.message);
	heap_files_note_end(&run->files, run->child.pid, run->end_ns);
	select_files(run);
	const bool recorded = check_recorded(run);
	failed = heap_files_move(&run->files, run->child.pid, run->command, run->arguments->output,
				 &err);
	if (failed)
		cli_fail("%s; the heap file stays where it is", err.message);
	const enum heap_gate_result gate = judge_all(run);
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
		.root_is_no_exception = is_pattern(arguments->follow),
	};
	if (run.program.state > HEAP_PROGRAM_UNKNOWN && !is_pattern(arguments->follow))
		warn_unrecorded(&run);
	const int code = heap_child_start(command, &settings, &run.child, &err);
	if (code) {
		cli_fail("%s", err.message);
		return code == -ENOENT ? 127 : code == -EACCES ? 126 : CLI_FAILED;
	}
	heap_child_wait(&run.child,
			run.warned || is_pattern(arguments->follow) ? NULL : check_handshake, &run);
	const int status = finish(&run);
	heap_files_deinit(&run.files);
	return status;
}

/* Before a run of hours, not behind it. Return: false with a message. */
static bool check_output(const char *output, struct cp_err *err)
{
	struct stat st;
	char folder[PATH_MAX];
	if (!output)
		return true;
	snprintf(folder, sizeof(folder), "%s", output);
	char *slash = strrchr(folder, '/');
	if (!slash)
		snprintf(folder, sizeof(folder), ".");
	else
		slash[slash == folder] = '\0';
	if (strstr(folder, "%p"))
		return true; /* which one is known when the command runs */
	if (stat(output, &st) == 0 && S_ISDIR(st.st_mode))
		return cp_fail(err, -EISDIR, "-o %s: is a directory, not a file", output) == 0;
	if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
		return cp_fail(err, -ENOTDIR, "-o %s: %s is no directory", output, folder) == 0;
	if (access(folder, W_OK | X_OK) != 0)
		return cp_fail(err, -errno, "-o %s: the directory %s: %s", output, folder,
			       strerror(errno)) == 0;
	return true;
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
	if (is_pattern(arguments.follow)) {
		if (regcomp(&regex, arguments.follow, REG_EXTENDED | REG_NOSUB) != 0)
			return cli_usage(self, "--follow %s: no, all or a regular expression",
					 arguments.follow);
		regfree(&regex);
	}
	if (heap_view_check(&arguments.view, &err) || !check_output(arguments.output, &err)) {
		cli_fail("%s", err.message);
		return CLI_USAGE;
	}
	if (find_library(library, &err)) {
		cli_fail("%s", err.message);
		return arguments.view.report.fail_on_unfreed ? CLI_NO_VERDICT : CLI_FAILED;
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
		"same, and no gate passes.",
	.options = heap_run_options,
	.examples = heap_run_examples,
	.operands_end_options = true,
	.run = heap_run_run,
};
