#include "recording.h"

#include "base/text.h"
#include "cli.h"
#include "interrupts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_PID,
	OPT_ALL,
	OPT_NO_INHERIT,
	OPT_NO_KERNEL,
	OPT_RATE,
	OPT_DURATION,
	OPT_ENGINE,
	OPT_MAX_OVERHEAD,
	OPT_MAX_PAUSE,
	OPT_UNWIND,
	OPT_MODE,
	OPT_NO_TIMELINE,
	OPT_OUTPUT,
	OPT_NO_SYMBOLS,
	OPT_LOAD, /* and the rest of enum load_option */
	OPT_MIN_QUALITY = OPT_LOAD + LOAD_N_OPTIONS,
	OPT_QUIET,
};

enum { RATE_DEFAULT_HZ = 999, RATE_MAX_HZ = 50000 };

static const char engines[] = "auto|perf|ptrace"; /* as enum recorder_engine */
static const char unwinders[] = "auto|libunwind";
static const char modes[] = "cpu|wall|offcpu"; /* as enum recorder_mode */

static const struct cli_option record_options[] = {
	[OPT_PID] = {"pid", 'p', "PID[,PID]", "What to record",
		     "attach to running processes, with all their threads"},
	[OPT_ALL] = {"all", 'a', NULL, NULL,
		     "the whole machine: every process, until Ctrl-C or -d, or while a command "
		     "runs"},
	[OPT_NO_INHERIT] = {"no-inherit", 0, NULL, NULL,
			    "do not follow children that are started meanwhile"},
	[OPT_NO_KERNEL] =
		{"no-kernel", 0, NULL, NULL,
		 "no kernel frames: time in the kernel counts for the code that called it"},
	[OPT_RATE] = {"rate", 'F', "HZ", "How to record",
		      "samples per second of CPU time of each thread, 1 to 50000 (default: 999)"},
	[OPT_DURATION] =
		{"duration", 'd', "TIME", NULL,
		 "end after this time: 10, 500ms, 2m (default: when the target ends, or Ctrl-C)"},
	[OPT_ENGINE] = {"engine", 0, engines, NULL,
			"how samples are taken: perf_event_open(2), or by stopping threads for a "
			"moment, one at a time, with ptrace(2), where perf is refused (default: "
			"auto)"},
	[OPT_MAX_OVERHEAD] = {"max-overhead", 0, "PCT", NULL,
			      "with ptrace, and for looks at threads that wait: sample less often "
			      "where cprof would take more than PCT % of the CPUs, or stop threads "
			      "for more than PCT % of the time they run (default: 1%)"},
	[OPT_MAX_PAUSE] = {"max-pause", 0, "TIME", NULL,
			   "with ptrace: how long a stop may be; where more than 1 % are longer, "
			   "less is copied and less often (default: 200us)"},
	[OPT_UNWIND] = {"unwind", 0, unwinders, NULL,
			"how stacks are walked: compiled rows, with libunwind for what they cannot "
			"say, or libunwind throughout (default: auto)"},
	[OPT_MODE] = {"mode", 0, modes, NULL,
		      "what is sampled: threads that run (cpu), all threads, also while they wait, "
		      "with what they wait for (wall), or how long threads do not run, and where "
		      "(offcpu) (default: cpu)"},
	[OPT_NO_TIMELINE] = {"no-timeline", 0, NULL, NULL,
			     "do not keep when samples were taken: a smaller file"},
	[OPT_OUTPUT] = {"output", 'o', "FILE", "The profile",
			"write the profile here; - = standard output (default: cprof.pb.gz)"},
	[OPT_NO_SYMBOLS] = {"no-symbols", 0, NULL, NULL,
			    "do not look up names at the end; 'cprof symbolize' does it later"},
	LOAD_OPTIONS(OPT_LOAD, NULL),
	[OPT_MIN_QUALITY] =
		{"min-quality", 0, "PCT", NULL,
		 "exit with 3 when less than PCT % of the samples are complete and have "
		 "names"},
	[OPT_QUIET] = {"quiet", 'q', NULL, NULL, "no progress and no summary; errors only"},
	{0},
};

struct record_arguments {
	struct recording_request request;
	pid_t *pids;
	size_t n_pids, cap_pids;
};

static int take_number(const struct cli_command *self, int option, const char *value,
		       struct recording_request *out)
{
	uint64_t rate_hz;
	switch (option) {
	case OPT_RATE:
		if (!cp_parse_u64(value, 1, RATE_MAX_HZ, &rate_hz))
			return cli_usage(self, "-F %s: give a whole number from 1 to %d", value,
					 RATE_MAX_HZ);
		out->recorder.rate_hz = (unsigned)rate_hz;
		return CLI_OK;
	case OPT_DURATION:
		if (!cp_parse_duration(value, &out->recorder.duration_ns))
			return cli_usage(self, "-d %s: give a time such as 10, 500ms, 1.5s or 2m",
					 value);
		return CLI_OK;
	case OPT_MAX_OVERHEAD:
		if (!options_percent(value, &out->recorder.max_overhead) ||
		    out->recorder.max_overhead <= 0)
			return cli_usage(
				self,
				"--max-overhead %s: give a percentage above 0, such as 0.5 or 2%%",
				value);
		out->recorder.max_overhead /= 100;
		return CLI_OK;
	case OPT_MAX_PAUSE:
		if (!cp_parse_duration(value, &out->recorder.max_pause_ns))
			return cli_usage(self, "--max-pause %s: give a time such as 200us or 1ms",
					 value);
		return CLI_OK;
	default:
		if (!options_percent(value, &out->min_quality_pct))
			return cli_usage(self, "--min-quality %s: give a number from 0 to 100",
					 value);
		out->gate = true;
		return CLI_OK;
	}
}

static int take_flag(int option, struct recording_request *out)
{
	switch (option) {
	case OPT_ALL:
		out->recorder.system_wide = true;
		break;
	case OPT_NO_INHERIT:
		out->recorder.no_inherit = true;
		break;
	case OPT_NO_KERNEL:
		out->recorder.no_kernel = true;
		break;
	case OPT_NO_TIMELINE:
		out->recorder.no_timeline = true;
		break;
	case OPT_NO_SYMBOLS:
		out->no_symbols = true;
		break;
	default:
		out->quiet = true;
		break;
	}
	return CLI_OK;
}

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	struct record_arguments *out = arguments;
	struct cp_err err;
	int status;
	if (load_take_option(self, option - OPT_LOAD, value, &out->request.symbols, &status))
		return status;
	switch (option) {
	case OPT_PID:
		if (options_pids(value, &out->pids, &out->n_pids, &out->cap_pids, &err))
			return cli_usage(self, "-p %s: %s", value, err.message);
		return CLI_OK;
	case OPT_ENGINE: {
		const int choice = options_choice(engines, value);
		if (choice >= 0)
			out->request.recorder.engine = (enum recorder_engine)choice;
		return choice < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
	}
	case OPT_UNWIND: {
		const int choice = options_choice(unwinders, value);
		out->request.recorder.libunwind = choice == 1;
		return choice < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
	}
	case OPT_MODE: {
		const int choice = options_choice(modes, value);
		if (choice >= 0)
			out->request.recorder.mode = (enum recorder_mode)choice;
		return choice < 0 ? cli_bad_choice(self, option, value) : CLI_OK;
	}
	case OPT_OUTPUT:
		if (!*value)
			return cli_usage(self, "-o needs the name of a file");
		out->request.output = value;
		return CLI_OK;
	case OPT_RATE:
	case OPT_DURATION:
	case OPT_MAX_OVERHEAD:
	case OPT_MAX_PAUSE:
	case OPT_MIN_QUALITY:
		return take_number(self, option, value, &out->request);
	default:
		return take_flag(option, &out->request);
	}
}

/* -a does not go with everything. Return: CLI_OK or the exit status, message printed. */
static int check_all(const struct cli_command *self, const struct record_arguments *arguments)
{
	const struct recorder_options *recorder = &arguments->request.recorder;
	if (recorder->system_wide && arguments->n_pids)
		return cli_usage(self, "either -a or -p, not both: -a records every process");
	if (recorder->system_wide && recorder->no_inherit)
		return cli_usage(self, "--no-inherit has no meaning with -a, which records every "
				       "process");
	return CLI_OK;
}

/* What is to be recorded: processes, a command or the machine. */
static int check_target(const struct cli_command *self, int argc, char **argv, int first,
			struct record_arguments *arguments)
{
	bool dashes = first > 1 && strcmp(argv[first - 1], "--") == 0;
	struct recorder_options *recorder = &arguments->request.recorder;
	const int status = check_all(self, arguments);
	if (status != CLI_OK)
		return status;
	if (first < argc && arguments->n_pids)
		return cli_usage(self, "either -p or a command, not both (%s)", argv[first]);
	if (first < argc && !dashes && strspn(argv[first], "0123456789,") == strlen(argv[first]))
		return cli_usage(self, "to attach to a process: cprof record -p %s", argv[first]);
	if (first < argc && !dashes)
		return cli_usage(self, "put -- before the command: cprof record [OPTION...] -- %s",
				 argv[first]);
	if (first == argc && !arguments->n_pids && !recorder->system_wide)
		return cli_usage(self, "what is to be recorded? -p PID, or -- CMD ARG..., or -a "
				       "for the whole machine");
	if (arguments->n_pids) {
		recorder->pids = arguments->pids;
		recorder->n_pids = arguments->n_pids;
		arguments->request.symbols.root_pid = arguments->pids[0];
	} else if (first < argc) {
		if (strcmp(arguments->request.output, "-") == 0)
			return cli_usage(self, "-o - with a command: its output would run into the "
					       "profile; use -o FILE");
		recorder->argv = argv + first;
	}
	return CLI_OK;
}

static int record_run(const struct cli_command *self, int argc, char **argv)
{
	struct record_arguments arguments = {
		.request =
			{
				.output = CLI_DEFAULT_PROFILE,
				.recorder.rate_hz = RATE_DEFAULT_HZ,
				.symbols.cancel = interrupts_cancel(),
			},
	};
	int status;
	int first = cli_parse(self, argc, argv, take_option, &arguments, &status);
	if (first >= 0)
		status = check_target(self, argc, argv, first, &arguments);
	arguments.request.symbols.quiet = arguments.request.quiet;
	if (first >= 0 && status == CLI_OK)
		status = recording_run(&arguments.request);
	load_symbols_deinit(&arguments.request.symbols);
	free(arguments.pids);
	return status;
}

static const char *const record_synopses[] = {"-p PID[,PID] [OPTION...]",
					      "[OPTION...] -- CMD ARG...",
					      "-a [OPTION...] [-- CMD ARG...]", NULL};

static const struct cli_example record_examples[] = {
	{"cprof record -p $(pgrep -d, redis-server) -d 10", "ten seconds of a running server"},
	{"cprof record -- ./my-program --its-option", "a command from its start to its end"},
	{"cprof record -a -d 10", "ten seconds of the whole machine"},
	{"cprof record -a -- make -j8", "the whole machine while a command runs"},
	{"cprof record --mode offcpu -p 1234 -d 10",
	 "how long its threads do not run, where, and what they wait for"},
	{"cprof record -o ci.pb.gz --min-quality 90 -- make check",
	 "fails with status 3 when the profile is too poor to be trusted"},
	{"ssh host cprof record -p 1234 -d 5 -o - > host.pb.gz", "record there, look at it here"},
	{NULL, NULL},
};

const struct cli_command record_command = {
	.name = "record",
	.summary = "record running processes, a command, or the whole machine, into a profile",
	.synopses = record_synopses,
	.description =
		"Samples what the threads of a process execute, with their call stacks, and writes "
		"a "
		"profile. Threads and children that are started meanwhile are recorded too. The "
		"target is not stopped where perf works. Ctrl-C ends the recording and keeps it; "
		"once more while "
		"names are being looked up leaves those out."
		"\n\n"
		"A profile that is there already is kept as FILE.old. While recording, the file is "
		"valid after each second, also when the recorder is killed."
		"\n\n"
		"With --mode offcpu durations are exact, from the kernel's records of switches; "
		"stacks "
		"are taken from outside, of threads that wait, and what was too short for that is "
		"estimated and marked. Where perf is refused, durations are sampled; the report "
		"says "
		"which. 'cprof report --by lock' and '--by state' are made for such profiles and "
		"for those of --mode wall."
		"\n\n"
		"With -a all processes are recorded, cprof itself and the threads of the kernel "
		"too; idle CPUs are not. It takes root, CAP_PERFMON or "
		"kernel.perf_event_paranoid of 0 or less; 'cprof doctor' says whether it works. "
		"'cprof report --by process' then shows who used the machine, and folded stacks "
		"begin with the name of the process.",
	.options = record_options,
	.examples = record_examples,
	.operands_end_options = true,
	.run = record_run,
};
