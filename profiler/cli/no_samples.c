#include "no_samples.h"

#include "base/text.h"
#include "cli.h"

#include <inttypes.h>
#include <stdio.h>

/* From /proc ticks of 10 ms: less than two of them may be the rounding. */
static const uint64_t noise_ns = 20000000;

/* CPU time for so many samples without a single one is no accident. */
enum { SAMPLES_EXPECTED = 10 };

static bool explain_command(const struct recorder_options *options,
			    const struct recorder_result *result)
{
	char ran[CP_TEXT_MAX], cpu[CP_TEXT_MAX];
	cp_format_duration(result->duration_ns, ran);
	cp_format_duration(result->target_cpu_ns, cpu);
	if (result->target_cpu_ns / 1000000 * options->rate_hz >= SAMPLES_EXPECTED * 1000) {
		cli_fail(
			"no samples: %s used %s of CPU time, but none of it could be sampled; time "
			"in the kernel may not be visible here: see 'cprof doctor'",
			options->argv[0], cpu);
		return false;
	}
	cli_warn("no samples: %s ran for %s and used %s%s of CPU time, too little for one at %u "
		 "Hz.\n"
		 "Give it more to do, or sample more often: -F %u.",
		 options->argv[0], ran, result->target_cpu_ns ? "" : "next to none",
		 result->target_cpu_ns ? cpu : "", options->rate_hz,
		 options->rate_hz < 5000 ? options->rate_hz * 10 : 50000);
	return true;
}

static void explain_process(const struct recorder_options *options,
			    const struct recorder_result *result, const struct target_state *before)
{
	struct target_state now;
	target_state_read(before->pid, &now);
	char ran[CP_TEXT_MAX], cpu[CP_TEXT_MAX];
	cp_format_duration(result->duration_ns, ran);
	uint64_t used_ns =
		now.exists && now.cpu_ns > before->cpu_ns ? now.cpu_ns - before->cpu_ns : 0;
	cp_format_duration(used_ns, cpu);
	if (!now.exists || now.state == 'Z')
		cli_note("process %d (%s) ended within %s", (int)before->pid, before->comm, ran);
	else if (before->kernel_thread)
		cli_note("%d (%s) is a thread of the kernel: it has no code of its own to show",
			 (int)before->pid, before->comm);
	else if (used_ns < noise_ns)
		cli_note("process %d (%s) used no CPU time in %s; it is %s", (int)before->pid,
			 before->comm, ran, target_state_word(now.state));
	else if (used_ns / 1000000 * options->rate_hz < 5000)
		cli_note("process %d (%s) used only %s of CPU time in %s: record longer (-d), or "
			 "sample more often (-F)",
			 (int)before->pid, before->comm, cpu, ran);
	else
		cli_note("process %d (%s) used %s of CPU time in %s, but none of it could be "
			 "sampled: see 'cprof doctor -p %d'",
			 (int)before->pid, before->comm, cpu, ran, (int)before->pid);
}

bool no_samples_explain(const struct recorder_options *options,
			const struct recorder_result *result, const struct target_state *before)
{
	if (result->lost) {
		char lost[CP_TEXT_MAX];
		cli_fail(result->lost_of_cpus
				 ? "no samples, and up to %s were lost, those of other programs on "
				   "the same CPUs included; record with a lower rate (-F)"
				 : "no samples: all %s were lost; record with a lower rate (-F)",
			 cp_format_count(result->lost, lost));
		return false;
	}
	if (options->system_wide && !options->argv) {
		char ran[CP_TEXT_MAX];
		cli_fail("no samples: nothing ran on this machine for %s, or not long enough for a "
			 "sample at %u Hz; record longer (-d)",
			 cp_format_duration(result->duration_ns, ran), options->rate_hz);
		return false;
	}
	if (options->mode == RECORDER_MODE_OFFCPU && !result->lost) {
		char ran[CP_TEXT_MAX];
		cli_note("warning: no samples: nothing has waited in the %s of the recording",
			 cp_format_duration(result->duration_ns, ran));
		return options->argv != NULL;
	}
	if (!before)
		return explain_command(options, result);
	cli_fail("no samples were taken");
	for (size_t i = 0; i < options->n_pids; i++)
		explain_process(options, result, &before[i]);
	if (options->n_pids == 1)
		cli_note("Only running code is sampled. Record while it has work to do; its work "
			 "may "
			 "also be done by another process: pgrep -P %d lists its children.",
			 (int)options->pids[0]);
	return false;
}
