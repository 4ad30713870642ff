#include "base/cleanup.h"
#include "base/text.h"
#include "capture/pause_trial.h"
#include "capture/perf_probe.h"
#include "capture/procfs.h"
#include "capture/ptrace_probe.h"
#include "cli.h"
#include "target_state.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

enum { OPT_PID };
enum { DEFAULT_RATE_HZ = 999 };

static const struct cli_option doctor_options[] = {
	[OPT_PID] = {"pid", 'p', "PID", NULL, "look at this process too"},
	{0},
};

static int take_option(const struct cli_command *self, int option, const char *value,
		       void *arguments)
{
	(void)option;
	pid_t *pid = arguments;
	uint64_t number;
	if (!cp_parse_u64(value, 1, INT_MAX, &number))
		return cli_usage(self, "-p %s: a process id is needed", value);
	*pid = (pid_t)number;
	return CLI_OK;
}

/* One finding: what was looked at, what was found, and, indented below, what to do about it. */
static void finding(const char *what, const char *found, const char *remedy)
{
	printf("  %-28s %s\n", what, found);
	for (; remedy && *remedy; remedy += strcspn(remedy, "\n"), remedy += *remedy == '\n')
		printf("  %-28s   -> %.*s\n", "", (int)strcspn(remedy, "\n"), remedy);
}

/* The first line of a /proc or /sys file. Return: false when it cannot be read. */
static bool read_line(const char *path, char *buf, size_t size)
{
	CP_CLEANUP(cp_close_file) FILE *file = fopen(path, "re");
	if (!file || !fgets(buf, (int)size, file))
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static void show_system(void)
{
	struct utsname name;
	if (uname(&name) == 0)
		printf("cprof %s on %s %s (%s), %ld CPUs\n", CPROF_VERSION, name.sysname,
		       name.release, name.machine, sysconf(_SC_NPROCESSORS_ONLN));
}

static void show_engine(const struct perf_probe *probe)
{
	puts("\nHow samples can be taken");
	if (!probe->usable) {
		char found[600];
		snprintf(found, sizeof(found), "does not work here: %s", probe->reason);
		finding("perf_event", found, probe->remedy);
		return;
	}
	finding("perf_event",
		probe->hardware_cycles ? "works, with the CPU's cycle counter"
				       : "works, with the cpu-clock timer: no cycle counter here "
					 "(usual in virtual machines)",
		NULL);
	finding("time in the kernel", probe->kernel_visible ? "visible" : "not visible",
		probe->kernel_visible
			? NULL
			: "its CPU time is missing from profiles; reports say how much it was\n"
			  "to see it: run as root, or: sysctl kernel.perf_event_paranoid=1");
	char machine[320];
	snprintf(machine, sizeof(machine), "no, because %s", probe->system_reason);
	finding("the whole machine (-a)", probe->system_wide ? "yes" : machine,
		probe->system_wide ? NULL : probe->system_remedy);
}

/* Where it may be done at all: how long a stop is here. Return: true when it works. */
static bool show_ptrace(void)
{
	struct pauses pauses;
	const int code = pause_trial_run(&pauses);
	char found[160], p50[CP_TEXT_MAX], p99[CP_TEXT_MAX];
	if (code < 0) {
		snprintf(found, sizeof(found), "does not work here: %s", strerror(-code));
		finding("ptrace", found,
			"in a container: start it with --cap-add SYS_PTRACE (docker, podman), or "
			"run cprof on the host");
		return false;
	}
	snprintf(found, sizeof(found),
		 "works; a sample stops a thread for %s at p50, %s at p99 (tried on a child)",
		 cp_format_duration(pauses_percentile_ns(&pauses, 50), p50),
		 cp_format_duration(pauses_percentile_ns(&pauses, 99), p99));
	finding("ptrace", found, NULL);
	return true;
}

static void show_sample_rate(void)
{
	char text[64];
	uint64_t rate_hz;
	if (!read_line("/proc/sys/kernel/perf_event_max_sample_rate", text, sizeof(text)) ||
	    !cp_parse_u64(text, 0, UINT64_MAX, &rate_hz))
		return;
	finding("perf_event_max_sample_rate", text,
		rate_hz < DEFAULT_RATE_HZ
			? "lower than the default of 999 Hz: use -F, or raise it with sysctl "
			  "kernel.perf_event_max_sample_rate=100000"
			: NULL);
}

static void show_settings(const struct perf_probe *probe)
{
	static const char no_limit[] = ", no limit for you (CAP_PERFMON)";
	char text[128];
	puts("\nSettings (/proc/sys/kernel)");
	if (probe->paranoid == INT_MIN)
		snprintf(text, sizeof(text), "cannot be read");
	else
		snprintf(text, sizeof(text), "%d%s", probe->paranoid,
			 probe->capable ? no_limit : "");
	finding("perf_event_paranoid", text, NULL);
	show_sample_rate();
	if (probe->mlock_kb >= 0) {
		snprintf(text, sizeof(text), "%ld KiB of buffers per CPU%s", probe->mlock_kb,
			 probe->capable ? no_limit : "");
		finding("perf_event_mlock_kb", text, NULL);
	}
	if (read_line("/proc/sys/kernel/kptr_restrict", text, sizeof(text)))
		finding("kptr_restrict", text, NULL);
	if (read_line("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)))
		finding("yama/ptrace_scope", text, NULL);
}

/* Addresses read as 0 where kptr_restrict hides them; some low ones are 0 in any case. */
static bool kernel_symbols_readable(void)
{
	CP_CLEANUP(cp_close_file) FILE *file = fopen("/proc/kallsyms", "re");
	char line[256];
	for (int i = 0; file && i < 1000 && fgets(line, sizeof(line), file); i++)
		if (line[0] != '0' || strspn(line, "0") < 8)
			return true;
	return false;
}

static void show_symbols(void)
{
	puts("\nWhere names come from");
	bool kernel = kernel_symbols_readable();
	char restricted[16] = "";
	read_line("/proc/sys/kernel/kptr_restrict", restricted, sizeof(restricted));
	/* kernel/kallsyms.c, kallsyms_show_value(): 0 shows them to whoever may use perf for the
	 * kernel, 1 to CAP_SYSLOG, 2 to nobody */
	finding("kernel (/proc/kallsyms)",
		kernel ? "readable" : "hidden: kernel frames show as [kernel]",
		kernel ? NULL
		: strcmp(restricted, "0") == 0
			? "run as root, or: sysctl kernel.perf_event_paranoid=1"
		: strcmp(restricted, "1") == 0 ? "run as root, or: sysctl kernel.kptr_restrict=0 "
						 "kernel.perf_event_paranoid=1"
					       : "sysctl kernel.kptr_restrict=1, and run as root");
	bool debug_files = access("/usr/lib/debug/.build-id", R_OK | X_OK) == 0;
	finding("/usr/lib/debug", debug_files ? "has debug files" : "no debug files",
		debug_files ? NULL
			    : "libraries show function names at best, no lines; on Debian: "
			      "apt-get install libc6-dbg, and the packages that a report names");
}

/* Room for one descriptor per thread and CPU. */
static void show_descriptors(const struct target_state *target)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY)
		return;
	uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t need = target->threads * cpus + 64;
	char text[96];
	snprintf(text, sizeof(text), "%u thread%s on %" PRIu64 " CPUs need %" PRIu64 " of %" PRIu64,
		 target->threads, target->threads == 1 ? "" : "s", cpus, need,
		 (uint64_t)limit.rlim_max);
	finding("file descriptors", text,
		need > limit.rlim_max ? "raise the limit before recording: ulimit -n 65536" : NULL);
}

/* Which engine it will be. Return: true when there is one. */
static bool show_choice(const struct target_state *target, const struct perf_probe *perf)
{
	struct ptrace_probe ptrace;
	char text[600];
	ptrace_probe_run(target->pid, &ptrace);
	if (!ptrace.usable) {
		snprintf(text, sizeof(text), "no: %s", ptrace.reason);
		finding("may be stopped", text, ptrace.remedy);
	} else {
		finding("may be stopped", "yes, for --engine=ptrace", NULL);
	}
	if (target->not_x86_64) {
		finding("can be recorded", "no", NULL);
		return false;
	}
	finding("can be recorded",
		perf->usable ? "yes, by perf: nothing is stopped"
		: ptrace.usable
			? "yes, by ptrace: perf is refused, so running threads are stopped, "
			  "one at a time"
			: "no",
		NULL);
	return perf->usable || ptrace.usable;
}

/* Return: true when it can be recorded, as far as one can tell from here. */
static bool show_target(const struct target_state *target, const struct perf_probe *probe)
{
	char text[160];
	if (!target->exists) {
		printf("\nProcess %d\n", (int)target->pid);
		finding("exists", "no such process (seen from here)",
			"a process in a container has another number there: look it up on this "
			"side "
			"with pgrep");
		return false;
	}
	printf("\nProcess %d (%s)\n", (int)target->pid, target->comm);
	char cpu[CP_TEXT_MAX];
	snprintf(text, sizeof(text), "%s; %u thread%s; %s of CPU time so far",
		 target_state_word(target->state), target->threads, target->threads == 1 ? "" : "s",
		 cp_format_duration(target->cpu_ns, cpu));
	finding("state", text, NULL);
	if (target->kernel_thread || target->state == 'Z') {
		finding("can be recorded",
			target->kernel_thread ? "no: a thread of the kernel" : "no: it has ended",
			NULL);
		return false;
	}
	if (target->not_x86_64)
		finding("machine", "no 64-bit x86 program: its stacks cannot be unwound", NULL);
	if (target->other_mounts || target->other_pids)
		finding("container", "yes: it has its own files or process numbers",
			"its binaries are read through /proc/PID/root");
	if (!target->maps_readable) {
		bool root = geteuid() == 0;
		snprintf(text, sizeof(text),
			 root ? "no: it belongs to user %u, and holds capabilities that this shell "
				"lacks, or is in another user namespace"
			      : "no: it belongs to user %u, or is not dumpable",
			 (unsigned)target->uid);
		finding("yours", text,
			root ? "run cprof with all capabilities, outside of this container"
			     : "run cprof as that user, or as root");
		return false;
	}
	show_descriptors(target);
	return show_choice(target, probe);
}

static int doctor_run(const struct cli_command *self, int argc, char **argv)
{
	pid_t pid = 0;
	int status;
	int first = cli_parse(self, argc, argv, take_option, &pid, &status);
	if (first < 0)
		return status;
	if (first < argc)
		return cli_usage(self, "what is \"%s\"? a process is named with -p", argv[first]);
	struct target_state target = {0};
	if (pid)
		target_state_read(pid, &target);
	struct perf_probe probe;
	/* a process that is gone or forbidden would hide what works here in general */
	bool probed = target.exists && target.maps_readable && !target.kernel_thread;
	struct cp_err err;
	perf_probe_run(probed ? pid : 0, &probe);
	show_system();
	if (procfs_check("", &err) < 0)
		return cli_fail("%s", err.message);
	show_engine(&probe);
	const bool by_ptrace = show_ptrace();
	show_settings(&probe);
	show_symbols();
	bool target_fits = !pid || show_target(&target, &probe);
	bool usable = probe.usable || by_ptrace;
	bool works = usable && target_fits;
	printf("\n%s\n", works && !probe.usable ? "Recording works here, by ptrace."
			 : works                ? "Recording works here."
			 : usable               ? "Recording works here, but not for this process."
						: "Recording does not work here: see above.");
	return works ? CLI_OK : CLI_FAILED;
}

static const char *const doctor_synopses[] = {"[-p PID]", NULL};

static const struct cli_example doctor_examples[] = {
	{"cprof doctor -p 1234", "can process 1234 be recorded by me? if not, what would help?"},
	{NULL, NULL},
};

const struct cli_command doctor_command = {
	.name = "doctor",
	.summary = "say whether recording works here, and what would make it work",
	.synopses = doctor_synopses,
	.description =
		"Tries what recording needs, on this machine and with your permissions, and prints "
		"what works, what does not, and the setting, capability or container flag that "
		"would "
		"change it. With -p it also says by which engine that process will be recorded, "
		"and "
		"who stands in the way. Exits with 0 when recording is possible, else with 1.",
	.options = doctor_options,
	.examples = doctor_examples,
	.run = doctor_run,
};
