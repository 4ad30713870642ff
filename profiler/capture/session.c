#include "session.h"

#include "clock.h"
#include "goroutine_chain.h"
#include "procfs.h"
#include "ptrace_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TIMELINE_QUANTUM_NS 10000000ULL

static int check_options(const struct recorder_options *options, struct cp_err *err)
{
	if (options->system_wide && (options->n_pids > 0 || options->no_inherit))
		return cp_fail(err, -EINVAL,
			       "the whole machine includes all processes and "
			       "children: none can be chosen");
	if (!options->system_wide && !options->argv == (options->n_pids == 0))
		return cp_fail(err, -EINVAL, "either processes or a command must be given");
	if (options->argv && !options->argv[0])
		return cp_fail(err, -EINVAL, "the command is empty");
	if (options->mode != RECORDER_MODE_CPU && options->system_wide)
		return cp_fail(err, -EINVAL,
			       "threads that wait are recorded of chosen processes, not of the "
			       "whole machine");
	if (options->rate_hz < 1 || options->rate_hz > 50000)
		return cp_fail(err, -EINVAL, "the rate must be 1 to 50000 samples a second, not %u",
			       options->rate_hz);
	if (options->system_wide && options->engine == RECORDER_ENGINE_PTRACE)
		return cp_fail(err, -EINVAL,
			       "the whole machine cannot be recorded by ptrace: it takes perf");
	return 0;
}

static int check_max_rate(const struct recorder_options *options, struct cp_err *err)
{
	static const char MAX_RATE[] = "/proc/sys/kernel/perf_event_max_sample_rate";
	long max_rate = procfs_number(MAX_RATE, 0);
	if (max_rate > 0 && options->rate_hz > (unsigned long)max_rate)
		return cp_fail(
			err, -EINVAL,
			"the kernel takes at most %ld samples a second; use -F %ld, or raise "
			"it: `sudo sysctl kernel.perf_event_max_sample_rate=%u`",
			max_rate, max_rate, options->rate_hz);
	return 0;
}

/*
 * perf where it works: it stops nothing. Else ptrace, if nothing speaks against that with the
 * processes that are there; those of a command are looked at when it is.
 */
static int choose_engine(struct session *s, struct cp_err *err)
{
	const struct recorder_options *options = s->options;
	struct ptrace_probe ptrace = {0};
	s->by_ptrace = options->engine == RECORDER_ENGINE_PTRACE;
	if (!s->by_ptrace)
		perf_probe_run(options->n_pids ? options->pids[0] : 0, &s->probe);
	if (!s->by_ptrace && s->probe.usable)
		return check_max_rate(options, err);
	if (options->engine == RECORDER_ENGINE_PERF || options->system_wide)
		return cp_fail(err, -s->probe.open_errno, "%s\n%s", s->probe.reason,
			       s->probe.remedy);
	for (size_t i = 0; i < options->n_pids; i++) {
		ptrace_probe_run(options->pids[i], &ptrace);
		if (ptrace.usable)
			continue;
		if (s->by_ptrace)
			return cp_fail(err, -ptrace.error, "%s\n%s", ptrace.reason, ptrace.remedy);
		return cp_fail(err, -s->probe.open_errno,
			       "%s\n%s\nNor may its threads be stopped for samples: %s\n%s",
			       s->probe.reason, s->probe.remedy, ptrace.reason, ptrace.remedy);
	}
	if (!s->by_ptrace && options->note)
		options->note(options->progress_ctx, s->probe.reason);
	s->by_ptrace = true;
	return 0;
}

static int check_system_wide(const struct session *s, struct cp_err *err)
{
	if (s->options->system_wide && !s->probe.system_wide)
		return cp_fail(err, -EACCES, "the whole machine may not be recorded: %s\n%s",
			       s->probe.system_reason, s->probe.system_remedy);
	return 0;
}

static int open_events(struct session *s, struct cp_err *err)
{
	const struct recorder_options *options = s->options;
	if (s->by_ptrace) {
		s->events.setup = (struct perf_setup){.rate_hz = options->rate_hz,
						      .follow = PERF_FOLLOW_CHILDREN};
		return 0;
	}
	struct perf_setup setup = {
		/* the period of a cycle counter follows its CPU's load: on an idle one, few cycles
		 * would give as many samples as many do on a busy one */
		.hardware = s->probe.hardware_cycles && !options->system_wide,
		.rate_hz = options->rate_hz,
		.exclude_kernel = !s->probe.kernel_visible,
		.kernel_frames = s->probe.kernel_visible && !options->no_kernel,
		.follow = options->no_inherit ? PERF_FOLLOW_THREADS : PERF_FOLLOW_CHILDREN,
		.enable_on_exec = options->argv != NULL,
		.user_chain = !s->tells_switches &&
			      goroutine_chain_is_wanted(options->pids, options->n_pids),
		.switches = s->tells_switches,
	};
	return perf_events_open(&setup, &s->events, err);
}

static int start_command(struct session *s, struct cp_err *err)
{
	int code = command_start(s->options->argv, &s->command, err);
	if (code < 0)
		return code;
	s->has_command = true;
	return targets_open(&s->command.pid, 1, &s->targets, err);
}

/* Only now there is a process to ask for permission of. */
static int check_command(const struct session *s, struct cp_err *err)
{
	struct ptrace_probe ptrace;
	if (!s->by_ptrace || !s->has_command)
		return 0;
	ptrace_probe_run(s->command.pid, &ptrace);
	return ptrace.usable ? 0
			     : cp_fail(err, -ptrace.error, "%s\n%s", ptrace.reason, ptrace.remedy);
}

static void describe_command(const struct session *s, char *buf, size_t cap)
{
	buf[0] = 0;
	if (s->options->argv) {
		for (char *const *arg = s->options->argv; *arg; arg++)
			procfs_quote(buf, cap, *arg);
	} else if (s->options->n_pids) {
		procfs_command(s->options->pids[0], buf, cap);
	}
}

static double max_overhead(const struct recorder_options *options)
{
	return options->max_overhead > 0 ? options->max_overhead : RECORDER_MAX_OVERHEAD;
}

static uint64_t max_pause_ns(const struct recorder_options *options)
{
	return options->max_pause_ns ? options->max_pause_ns : RECORDER_MAX_PAUSE_NS;
}

static int open_file(struct session *s, struct cp_err *err)
{
	char command[4096];
	describe_command(s, command, sizeof(command));
	static const char *const modes[] = {[RECORDER_MODE_CPU] = "cpu",
					    [RECORDER_MODE_WALL] = "wall",
					    [RECORDER_MODE_OFFCPU] = "offcpu"};
	const bool is_off_cpu = s->options->mode == RECORDER_MODE_OFFCPU;
	const struct perf_setup *setup = &s->events.setup;
	struct recording_facts facts = {
		.libunwind = s->options->libunwind,
		.system_wide = s->options->system_wide,
		.command = command,
		.mode = modes[s->options->mode],
		.switches = s->tells_switches,
		.pids = s->options->argv ? &s->command.pid : s->options->pids,
		.n_pids = s->targets.n,
		.rate_hz = setup->rate_hz,
		.hardware = setup->hardware,
		.n_cpus = s->by_ptrace ? (size_t)sysconf(_SC_NPROCESSORS_ONLN) : s->events.n_rings,
		.engine = s->by_ptrace ? "ptrace" : "perf",
		.max_overhead = s->by_ptrace ? max_overhead(s->options) : 0,
		.max_pause_ns = s->by_ptrace ? max_pause_ns(s->options) : 0,
		.kernel = is_off_cpu              ? ""
			  : s->by_ptrace          ? "credited"
			  : setup->exclude_kernel ? "hidden"
			  : setup->kernel_frames  ? "visible"
						  : "credited",
	};
	return recording_file_open(&s->file, s->options->path, &facts, err);
}

static int open_sink(struct session *s, struct cp_err *err)
{
	const struct perf_setup *setup = &s->events.setup;
	struct perf_layout layout = perf_attr_layout();
	s->sink = (struct sample_sink){
		.profile = s->file.profile,
		.processes = s->processes,
		.main_pid = s->targets.n ? s->targets.items[0].pid : 0,
		.quantum_ns = s->options->no_timeline ? 0 : TIMELINE_QUANTUM_NS,
		.period_ns = setup->hardware ? (int64_t)(CLOCK_NS_PER_S / setup->rate_hz) : 0,
		.kernel_frames = setup->kernel_frames,
		.n_regs = layout.n_regs,
		.unwind = s->options->libunwind ? UNWIND_LIBUNWIND : UNWIND_AUTO,
	};
	s->dispatch = (struct dispatch){
		.events = &s->events,
		.processes = s->processes,
		.sink = &s->sink,
		.layout = layout,
		.known_only = !s->options->system_wide &&
			      (setup->follow == PERF_FOLLOW_NONE || s->options->no_inherit),
		.follow_children = !s->options->no_inherit,
	};
	if (sample_sink_init(&s->sink) < 0)
		return cp_fail_nomem(err);
	s->sink.modules.kept_files = s->options->kept_files;
	s->sink.modules.keep_ours_only = s->options->system_wide;
	s->sink.modules.generated_code = s->options->generated_code;
	s->sink.modules.generated_code_ctx = s->options->generated_code_ctx;
	return 0;
}

static int open_wall(struct session *s, struct cp_err *err)
{
	if (!s->samples_wall)
		return 0;
	/* the engine of stops keeps to the same limit, for all that the recorder uses */
	const double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN) / (s->by_ptrace ? 2 : 1);
	s->wall = (struct wall){.sink = &s->sink,
				.processes = s->processes,
				.stopper = s->by_ptrace ? &s->live.stopper : NULL,
				.off_cpu_only = s->options->mode == RECORDER_MODE_OFFCPU};
	s->dispatch.wall = &s->wall;
	return wall_init(&s->wall, s->options->rate_hz, cpus * max_overhead(s->options),
			 clock_now_ns()) < 0
		       ? cp_fail_nomem(err)
		       : 0;
}

static int open_off_cpu(struct session *s, struct cp_err *err)
{
	if (!s->tells_switches)
		return 0;
	const double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
	s->off_cpu = (struct off_cpu){.sink = &s->sink, .processes = s->processes};
	s->dispatch.off_cpu = &s->off_cpu;
	return off_cpu_init(&s->off_cpu, s->options->rate_hz, cpus * max_overhead(s->options)) < 0
		       ? cp_fail_nomem(err)
		       : 0;
}

static int open_live(struct session *s, struct cp_err *err)
{
	if (!s->by_ptrace)
		return 0;
	const struct live_setup setup = {
		.processes = s->processes,
		.sink = &s->sink,
		.wall = s->samples_wall ? &s->wall : NULL,
		.rate_hz = s->options->rate_hz,
		.max_share = max_overhead(s->options),
		.max_pause_ns = max_pause_ns(s->options),
		.follow_children = !s->options->no_inherit,
		.own_child = s->has_command ? s->command.pid : 0,
		.stop_fd = s->options->stop_fd,
	};
	return live_recorder_open(&s->live, &setup, err);
}

static int watch_fd(struct session *s, int fd, int what, struct cp_err *err)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = what};
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return cp_fail(err, -errno, "cannot wait for samples: epoll_ctl: %s",
			       strerror(errno));
	return 0;
}

static int open_loop(struct session *s, struct cp_err *err)
{
	s->scratch = aligned_alloc(64, PERF_RING_RECORD_MAX);
	if (!s->scratch)
		return cp_fail_nomem(err);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return cp_fail(err, -errno, "cannot wait for samples: epoll_create: %s",
			       strerror(errno));
	int code = 0;
	for (size_t i = 0; i < s->events.n_rings && code == 0; i++)
		code = watch_fd(s, s->events.rings[i].fd, SESSION_WAIT_RING, err);
	for (size_t i = 0; i < s->targets.n && code == 0; i++) {
		if (s->targets.items[i].pidfd >= 0)
			code = watch_fd(s, s->targets.items[i].pidfd, (int)i, err);
	}
	if (code == 0 && s->by_ptrace)
		code = watch_fd(s, s->live.timer_fd, SESSION_WAIT_LIVE, err);
	if (code == 0 && s->options->stop_fd >= 0)
		code = watch_fd(s, s->options->stop_fd, SESSION_WAIT_STOP, err);
	return code;
}

int session_open(struct session *s, const struct recorder_options *options, struct cp_err *err)
{
	memset(s, 0, sizeof(*s));
	s->options = options;
	s->epoll_fd = -1;
	int code = check_options(options, err);
	if (code == 0)
		code = procfs_check("", err);
	if (code == 0 && options->n_pids)
		code = targets_open(s->options->pids, s->options->n_pids, &s->targets, err);
	if (code == 0)
		code = choose_engine(s, err);
	s->tells_switches = options->mode == RECORDER_MODE_OFFCPU && !s->by_ptrace;
	s->samples_wall = options->mode != RECORDER_MODE_CPU && !s->tells_switches;
	if (code == 0)
		code = check_system_wide(s, err);
	if (code == 0)
		code = open_events(s, err);
	if (code == 0 && s->options->argv)
		code = start_command(s, err);
	s->targets.whole_machine = options->system_wide;
	if (code == 0)
		code = check_command(s, err);
	if (code == 0 && !s->by_ptrace)
		code = targets_attach(&s->targets, &s->probe,
				      /* per CPU every switch of every program would be told */
				      s->tells_switches ? RECORDER_SCOPE_THREADS : options->scope,
				      &s->events, err);
	if (code == 0 && processes_create(&s->processes) < 0)
		code = cp_fail_nomem(err);
	if (code == 0)
		code = open_file(s, err);
	if (code == 0)
		code = open_sink(s, err);
	if (code == 0)
		code = open_wall(s, err);
	if (code == 0)
		code = open_off_cpu(s, err);
	if (code == 0)
		code = open_live(s, err);
	if (code == 0)
		code = open_loop(s, err);
	if (code == 0 && s->by_ptrace)
		code = live_recorder_guard(&s->live, err);
	if (code == 0)
		code = recording_file_create(&s->file, err);
	return code;
}

void session_close(struct session *s)
{
	if (s->has_command)
		command_abandon(&s->command);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s->scratch);
	live_recorder_close(&s->live);
	wall_deinit(&s->wall);
	off_cpu_deinit(&s->off_cpu);
	sample_sink_deinit(&s->sink);
	recording_file_close(&s->file);
	processes_destroy(s->processes);
	perf_events_close(&s->events);
	targets_close(&s->targets);
	memset(s, 0, sizeof(*s));
	s->epoll_fd = -1;
}
