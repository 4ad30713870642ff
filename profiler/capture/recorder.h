/*
 * recorder.h - record processes into a profile file.
 *
 * Drives one capture engine: attaches, drains its records in time order or takes samples itself,
 * unwinds each online and appends to the file about once a second. Everything the engine holds in
 * the kernel is released by the kernel when the recorder dies in any way. With perf the target is
 * never stopped; with ptrace one thread at a time is, for microseconds.
 *
 * The file is unsymbolized when this returns; symbolizing it is the caller's next step.
 *
 * Depends on: base, elf, unwind, profile, the kernel's perf_event. Threads: one recorder at a time.
 */
#ifndef CPROF_CAPTURE_RECORDER_H
#define CPROF_CAPTURE_RECORDER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct recorder_progress {
	uint64_t elapsed_ns;
	uint64_t samples, lost;
	bool lost_of_cpus; /* other programs' on the same CPUs are among the lost */
	uint64_t file_bytes;
};

#define RECORDER_MAX_OVERHEAD 0.01
#define RECORDER_MAX_PAUSE_NS UINT64_C(200000)

/*
 * Where the events are. A timer of its own for each thread on each CPU takes its first sample only
 * after a whole period of CPU time there: on average half a period of each such pair is never
 * seen, all of it for threads and processes that live shorter. A timer for each CPU has no such
 * bias, costs nothing at a context switch and needs no descriptor per thread, but interrupts
 * everything that runs, and takes CAP_PERFMON.
 */
enum recorder_scope {
	RECORDER_SCOPE_AUTO, /* CPUS for timers where permitted and not too many, else THREADS */
	RECORDER_SCOPE_THREADS,
	RECORDER_SCOPE_CPUS,
};

/* How samples are got. */
enum recorder_engine {
	RECORDER_ENGINE_AUTO,   /* PERF where it is permitted, else PTRACE */
	RECORDER_ENGINE_PERF,   /* the kernel's timers (perf_event_open(2)); nothing is stopped */
	RECORDER_ENGINE_PTRACE, /* running threads are stopped one at a time: live_recorder.h */
};

/* What is sampled. */
enum recorder_mode {
	RECORDER_MODE_CPU,    /* threads that run */
	RECORDER_MODE_WALL,   /* all threads, all the time: wall.h */
	RECORDER_MODE_OFFCPU, /* threads that do not run: off_cpu.h */
};

struct kept_files;

struct recorder_options {
	const pid_t *pids; /* processes to attach to, or NULL with @argv */
	size_t n_pids;
	char *const *argv;    /* command to start and record, NULL-terminated, or NULL */
	bool system_wide;     /* all processes, without @pids; with @argv until that ends */
	const char *path;     /* of the profile */
	unsigned rate_hz;     /* 1 to 50,000; per running thread */
	uint64_t duration_ns; /* 0 = until the target ends or @stop_fd is readable */
	bool no_kernel;       /* no kernel frames: their time goes to the user stack */
	bool no_inherit;      /* do not follow children */
	bool libunwind;       /* walk all stacks with libunwind, not with compiled rows */
	bool no_timeline;     /* no time_ns labels */
	enum recorder_mode mode;
	enum recorder_scope scope;
	enum recorder_engine engine;
	/* What engines that stop threads may cost: see overhead.h. 0 = RECORDER_MAX_... */
	double max_overhead; /* 0.01: 1 % */
	uint64_t max_pause_ns;
	int stop_fd; /* end normally when it becomes readable; -1 = none */
	/* Gets the binaries of chosen processes, for after the recording; may be NULL. */
	struct kept_files *kept_files;
	/* Called for a process when code of it is met that is in no file; may be NULL. */
	void (*generated_code)(void *ctx, pid_t pid);
	void *generated_code_ctx;
	/* Called a few times a second from the recording loop; may be NULL. */
	void (*progress)(void *ctx, const struct recorder_progress *progress);
	/* Called with what the user should know before it begins: a sentence. May be NULL. */
	void (*note)(void *ctx, const char *text);
	void *progress_ctx; /* of both */
};

struct recorder_result {
	uint64_t samples, lost;
	bool lost_of_cpus; /* other programs' on the same CPUs are among the lost */
	uint64_t duration_ns;
	uint64_t file_bytes;
	uint64_t target_cpu_ns; /* used by the recorded processes meanwhile; 0 = unknown */
	bool target_ended;      /* the recording ended because the target did */
	int wait_status;        /* of the command with argv, as waitpid() gives it */
};

/**
 * Record until the duration is over, the target ends or @stop_fd is readable.
 *
 * Return: 0 (also with no samples at all: look at result->samples); a negative errno value with a
 *         message that names the remedy: -ESRCH, -EACCES/-EPERM (not permitted), -EMFILE,
 *         -ENOSPC (what was recorded before is valid on disk), -ENOENT (no such command) ...
 * Context: blocks; forks when @argv is given. A command is waited for in any case, and its
 *         @result->wait_status set: it runs on when the duration is over or the recording
 *         failed, and is sent SIGTERM, once, when @stop_fd becomes readable. It is not run
 *         at all when the recording cannot begin; no file is made then. The command inherits
 *         the signal mask and what is ignored.
 */
int recorder_run(const struct recorder_options *options, struct recorder_result *result,
		 struct cp_err *err);

#endif
