#include "recording.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "elf/kept_files.h"
#include "interrupts.h"
#include "no_samples.h"
#include "out_file.h"
#include "output/quality.h"
#include "output/report.h"
#include "symbolizer/jit_files.h"
#include "terminal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SUMMARY_ROWS = 10 };

/* A profile that goes to standard output is kept here until it is complete. */
struct spool {
	char dir[256], path[288];
};

static int spool_create(struct spool *spool, struct cp_err *err)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(spool->dir, sizeof(spool->dir), "%s/cprof-XXXXXX",
			 tmp && *tmp ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(spool->dir))
		return cp_fail(err, -ENAMETOOLONG, "TMPDIR is too long");
	if (!mkdtemp(spool->dir)) {
		int code = -errno;
		spool->dir[0] = '\0';
		return cp_fail(err, code, "no temporary directory in %s: %s",
			       tmp && *tmp ? tmp : "/tmp", strerror(-code));
	}
	snprintf(spool->path, sizeof(spool->path), "%s/" CLI_DEFAULT_PROFILE, spool->dir);
	return 0;
}

static void spool_destroy(struct spool *spool)
{
	if (!spool->dir[0])
		return;
	unlink(spool->path);
	rmdir(spool->dir);
}

static void show_progress(const struct recording_request *request,
			  const struct recorder_progress *progress)
{
	char elapsed[CP_TEXT_MAX], samples[CP_TEXT_MAX], lost[CP_TEXT_MAX], size[CP_TEXT_MAX];
	terminal_progress("%s  %s samples  %s%s lost  %s%s",
			  cp_format_duration(progress->elapsed_ns, elapsed),
			  cp_format_count(progress->samples, samples),
			  progress->lost && progress->lost_of_cpus ? "up to " : "",
			  cp_format_count(progress->lost, lost),
			  cp_format_bytes(progress->file_bytes, size),
			  request->recorder.duration_ns ? "" : "  (Ctrl-C ends it)");
}

static void show_note(void *ctx, const char *text)
{
	(void)ctx;
	cli_note("%s;\nso running threads are stopped for a moment each, one at a time "
		 "(--engine=ptrace)",
		 text);
}

static void on_progress(void *ctx, const struct recorder_progress *progress)
{
	const struct recording_request *request = ctx;
	if (request->symbols.jit_files)
		jit_files_refresh(request->symbols.jit_files);
	if (!request->quiet)
		show_progress(request, progress);
}

static void on_generated_code(void *ctx, pid_t pid)
{
	jit_files_hold(ctx, pid);
}

/* The path as it can be pasted into a shell. */
static void print_path(const char *path)
{
	bool plain = *path != '\0';
	for (const char *c = path; *c; c++)
		plain = plain && (isalnum((unsigned char)*c) || strchr("._-/+:@%,", *c));
	if (plain) {
		fputs(path, stderr);
		return;
	}
	fputc('\'', stderr);
	for (const char *c = path; *c; c++)
		fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, stderr);
	fputc('\'', stderr);
}

static void print_next_steps(const char *path)
{
	bool is_default = strcmp(path, CLI_DEFAULT_PROFILE) == 0;
	struct stat st;
	char size[CP_TEXT_MAX] = "";
	fputs("profile: ", stderr);
	print_path(path);
	if (stat(path, &st) == 0)
		fprintf(stderr, " (%s)", cp_format_bytes((uint64_t)st.st_size, size));
	fputs("\nnext:    cprof report", stderr);
	if (!is_default) {
		fputc(' ', stderr);
		print_path(path);
	}
	fputs("\n         cprof flamegraph", stderr);
	if (!is_default) {
		fputc(' ', stderr);
		print_path(path);
	}
	fputs(" -o flame.svg\n", stderr);
}

static int print_summary(const struct profile *profile, const char *path)
{
	const struct report_options options = {
		.format = REPORT_TEXT,
		.by = REPORT_BY_FUNCTION,
		.sort = REPORT_SORT_SELF,
		.limit = SUMMARY_ROWS,
		.path = path,
		.colour = terminal_colour(STDERR_FILENO),
		.summary = true,
		.width = terminal_width(STDERR_FILENO),
	};
	struct cp_err err = {""};
	int code = report_write(profile, &options, stderr, &err);
	return cli_output_status(code, &err);
}

static int judge(const struct recording_request *request, const struct profile *profile)
{
	if (!request->gate)
		return CLI_OK;
	if (profile->n_samples == 0) {
		cli_note("--min-quality: nothing was recorded, so there is nothing to judge");
		return CLI_NO_VERDICT;
	}
	struct quality *quality;
	/* without remedies: the gate needs numbers only */
	if (quality_compute_from(profile, NULL, &quality))
		return cli_fail("out of memory");
	double score_pct = quality->score_pct;
	quality_destroy(quality);
	if (score_pct >= request->min_quality_pct)
		return CLI_OK;
	char text[CP_TEXT_MAX];
	cli_fail("quality %s is below --min-quality %g: so many of the samples, lost ones "
		 "included, are complete and have names",
		 cp_format_pct(score_pct, text), request->min_quality_pct);
	return CLI_GATE;
}

/*
 * From the recorder's file to the final one: names, one gzip member, the summary, the gate.
 * A failure leaves the recorder's file, which is a valid profile.
 */
static int finish(const struct recording_request *request, const char *path)
{
	struct pprof_load_info info;
	struct profile *profile = load_profile(path, &info);
	if (!profile)
		return CLI_FAILED;
	int status = CLI_OK;
	if (!request->no_symbols && load_symbolize(profile, &request->symbols) != 0)
		status = CLI_FAILED;
	if (*interrupts_cancel())
		cli_note("interrupted: names are missing; 'cprof symbolize %s' looks them up",
			 request->output);
	struct cp_err err = {""};
	int code = pprof_save(profile, request->output, &err);
	if (code && code != -EPIPE) {
		cli_fail("%s", err.message);
		if (path == request->output)
			cli_note("the recording itself is kept, without names: 'cprof symbolize "
				 "%s' adds them once there is room",
				 path);
		status = CLI_FAILED;
	}
	if (!request->quiet && profile->n_samples) {
		if (print_summary(profile, request->output) != CLI_OK)
			status = CLI_FAILED;
		if (path == request->output)
			print_next_steps(path);
	}
	if (status == CLI_OK)
		status = judge(request, profile);
	profile_destroy(profile);
	return status;
}

/*
 * A command that failed passes its status on; otherwise ours counts. Not so the end of a command
 * that the recorder has told to end, on Ctrl-C.
 */
static int exit_status(const struct recording_request *request,
		       const struct recorder_result *result, int status)
{
	if (!request->recorder.argv)
		return status;
	if (WIFSIGNALED(result->wait_status) && !result->target_ended)
		return status;
	if (WIFSIGNALED(result->wait_status))
		return 128 + WTERMSIG(result->wait_status);
	if (WIFEXITED(result->wait_status) && WEXITSTATUS(result->wait_status))
		return WEXITSTATUS(result->wait_status);
	return status;
}

/* A file that a recording to the same path finds there. */
struct earlier {
	bool is_there;  /* it becomes FILE.old */
	bool had_older; /* which was there too */
};

static struct earlier find_earlier(const char *path)
{
	char old[PATH_MAX];
	struct stat st;
	struct earlier found = {.is_there = stat(path, &st) == 0 && S_ISREG(st.st_mode)};
	snprintf(old, sizeof(old), "%s.old", path);
	found.had_older = found.is_there && stat(old, &st) == 0;
	return found;
}

static void tell_earlier(const struct earlier *earlier, const char *path)
{
	if (earlier->is_there)
		cli_note("the earlier %s is kept as %s.old%s", path, path,
			 earlier->had_older ? ", in the place of the one before" : "");
}

static int record(const struct recording_request *request, const char *path, int stop_fd)
{
	const struct earlier earlier = find_earlier(path);
	CP_CLEANUP(cp_free) struct target_state *before = NULL;
	if (request->recorder.pids) {
		before = calloc(request->recorder.n_pids, sizeof(*before));
		if (!before)
			return cli_fail("out of memory");
		for (size_t i = 0; i < request->recorder.n_pids; i++)
			target_state_read(request->recorder.pids[i], &before[i]);
	}
	struct recorder_options options = request->recorder;
	options.path = path;
	options.stop_fd = stop_fd;
	options.progress = on_progress;
	options.generated_code = request->symbols.jit_files ? on_generated_code : NULL;
	options.generated_code_ctx = request->symbols.jit_files;
	options.note = request->quiet ? NULL : show_note;
	options.progress_ctx = (void *)request;
	options.kept_files = request->symbols.kept_files;
	struct recorder_result result = {0};
	struct cp_err err = {""};
	int code = recorder_run(&options, &result, &err);
	terminal_progress_end();
	interrupts_recording_over();
	if (code) {
		cli_fail("%s", err.message);
		if (strcmp(path, CLI_DEFAULT_PROFILE) == 0 && access(".", W_OK) != 0)
			cli_note("this directory cannot be written to: -o FILE puts the profile "
				 "elsewhere");
		return exit_status(request, &result, CLI_FAILED);
	}
	if (!request->quiet)
		tell_earlier(&earlier, path);
	int status = finish(request, path);
	if (result.samples == 0) {
		bool short_command = no_samples_explain(&options, &result, before);
		if (status == CLI_OK && !short_command)
			status = CLI_NO_VERDICT;
	}
	return exit_status(request, &result, status);
}

int recording_run(const struct recording_request *request)
{
	bool to_stdout = strcmp(request->output, "-") == 0;
	if (to_stdout && isatty(STDOUT_FILENO))
		return cli_fail(
			"a profile is binary: use -o FILE, or send standard output elsewhere");
	if (!to_stdout && out_file_is_special(request->output))
		return cli_fail("%s is no regular file: use -o - and send standard output there",
				request->output);
	struct spool spool = {.dir = ""};
	struct cp_err err = {""};
	int stop_fd = -1;
	int code = to_stdout ? spool_create(&spool, &err) : 0;
	if (!code)
		code = interrupts_init(&stop_fd, &err);
	struct recording_request own = *request;
	own.symbols.jit_files = request->no_symbols ? NULL : jit_files_create();
	own.symbols.kept_files = request->no_symbols ? NULL : kept_files_create();
	int status = code ? cli_fail("%s", err.message)
			  : record(&own, to_stdout ? spool.path : request->output, stop_fd);
	kept_files_destroy(own.symbols.kept_files);
	jit_files_destroy(own.symbols.jit_files);
	interrupts_deinit();
	spool_destroy(&spool);
	return status;
}
