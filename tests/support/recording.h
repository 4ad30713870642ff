/*
 * recording.h - targets whose work is known, a recording of them, and what is in the profile.
 *
 * A fixture of cmocka: setup and teardown around each test; *state is the
 * struct fixture. Work is told apart by the sections that its code lies in.
 *
 * Depends on: capture, profile; cmocka.h (included before). Threads: one.
 */
#ifndef CPROF_TESTS_RECORDING_H
#define CPROF_TESTS_RECORDING_H

#include "base/text.h"
#include "capture/perf_probe.h"
#include "capture/recorder.h"
#include "profile/header_keys.h"
#include "profile/pprof_file.h"
#include "profile/profile.h"

#include "first_in_line.h"
#include "waits_in.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Code in sections of its own: the linker gives their bounds. */
#define IN_SECTION(name) __attribute__((noinline, section(name)))
extern const char __start_burn_a_code[], __stop_burn_a_code[];
extern const char __start_burn_b_code[], __stop_burn_b_code[];

static volatile uint64_t sink;

static __attribute__((unused)) IN_SECTION("burn_a_code") void burn_a(void)
{
	for (uint64_t i = 0; i < 100000; i++)
		sink = sink * 3 + i;
}

static __attribute__((unused)) IN_SECTION("burn_b_code") void burn_b(void)
{
	for (uint64_t i = 0; i < 100000; i++)
		sink = sink * 5 + i;
}

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void burn(void (*code)(void), unsigned cpu_ms)
{
	uint64_t end_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ms * 1000000ULL;
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		code();
}

/* Both ways of recording have to give the same. */
static enum recorder_scope scope;

struct fixture {
	char dir[32], path[64];
	int stop_fd;
	pid_t target;
	int go_fd; /* a byte lets the target run */
	/* what the progress call-back does */
	bool release;          /* let the target run, once */
	uint64_t stop_samples; /* ask for the end when there are so many; 0 = no */
	unsigned n_progress;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	*state = f;
	first_in_line();
	strcpy(f->dir, "/tmp/cprof-test-XXXXXX");
	f->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!mkdtemp(f->dir) || f->stop_fd < 0)
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/p.pb.gz", f->dir);
	f->go_fd = -1;
	return 0;
}

/* For the next target: this one ends, and nobody has asked for the end of a recording. */
static inline void drop_target(struct fixture *f)
{
	eventfd_t asked;
	if (f->target > 0) {
		kill(f->target, SIGKILL);
		waitpid(f->target, NULL, 0);
	}
	f->target = 0;
	if (f->go_fd >= 0)
		close(f->go_fd);
	f->go_fd = -1;
	eventfd_read(f->stop_fd, &asked);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	char old[80];
	drop_target(f);
	close(f->stop_fd);
	snprintf(old, sizeof(old), "%s.old", f->path);
	unlink(old);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* A child that runs @body when it is let go; it dies with us. */
static inline void start_target(struct fixture *f, void (*body)(void))
{
	int go[2];
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	f->target = fork();
	assert_true(f->target >= 0);
	if (f->target == 0) {
		char byte;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		if (read(go[0], &byte, 1) == 1)
			body();
		_exit(0);
	}
	close(go[0]);
	f->go_fd = go[1];
	bool waits = false;
	for (unsigned i = 0; i < 100000 && !waits; i++) {
		usleep(100);
		waits = waits_in(f->target, SYS_read);
	}
	assert_true(waits);
}

static inline void let_go(struct fixture *f)
{
	assert_int_equal(write(f->go_fd, "", 1), 1);
}

static inline void on_progress(void *ctx, const struct recorder_progress *progress)
{
	struct fixture *f = ctx;
	const uint64_t one = 1;
	f->n_progress++;
	if (f->release)
		let_go(f);
	f->release = false;
	if (f->stop_samples && progress->samples >= f->stop_samples)
		assert_int_equal(write(f->stop_fd, &one, sizeof(one)), sizeof(one));
}

static inline struct recorder_options options_for(struct fixture *f)
{
	return (struct recorder_options){
		.pids = &f->target,
		.n_pids = 1,
		.path = f->path,
		.rate_hz = 999,
		.scope = scope,
		.stop_fd = f->stop_fd,
		.progress = on_progress,
		.progress_ctx = f,
	};
}

static inline void record(const struct recorder_options *options, struct recorder_result *result)
{
	struct cp_err err = {""};
	if (recorder_run(options, result, &err) != 0)
		fail_msg("recorder_run: %s", err.message);
}

static inline struct profile *load(const struct fixture *f)
{
	struct profile *profile;
	struct cp_err err = {""};
	if (pprof_load(f->path, &profile, NULL, &err) != 0)
		fail_msg("pprof_load: %s", err.message);
	return profile;
}

/* CPU time of a target that has ended; it is reaped. */
static inline uint64_t reap(struct fixture *f)
{
	struct rusage usage;
	int status;
	assert_int_equal(wait4(f->target, &status, 0, &usage), f->target);
	f->target = 0;
	assert_true(WIFEXITED(status));
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static inline uint64_t number(const struct profile *profile, const char *key)
{
	const uint64_t missing = UINT64_MAX;
	uint64_t value = profile_header_u64(profile, key, missing);
	if (value == missing)
		fail_msg("no %s in the header", key);
	return value;
}

static inline uint64_t sum(const struct profile *profile, const char *type)
{
	int column = profile_value_column(profile, type);
	uint64_t total = 0;
	assert_true(column >= 0);
	for (size_t i = 0; i < profile->n_samples; i++)
		total += (uint64_t)profile->values[i * profile->n_value_types + (size_t)column];
	return total;
}

static inline int own_bias(struct dl_phdr_info *info, size_t size, void *bias)
{
	(void)size;
	*(uint64_t *)bias = info->dlpi_addr;
	return 1; /* the first is the program itself */
}

/* Samples with a frame in [start, end) of this program, which is the profile's first module. */
static inline uint64_t samples_in(const struct profile *profile, const char *start, const char *end)
{
	uint64_t bias = 0, n = 0;
	dl_iterate_phdr(own_bias, &bias);
	const char *own_path = profile_text(profile, profile->modules[0].path);
	assert_non_null(strstr(own_path, "/test_recorder"));
	for (size_t i = 0; i < profile->n_samples; i++) {
		stack_id stack = profile->samples[i].stack;
		bool inside = false;
		for (; stack.v != 0; stack = stack_store_parent(&profile->stacks, stack)) {
			const struct profile_location *location =
				&profile->locations[stack_store_leaf(&profile->stacks, stack).v];
			const struct profile_module *module = &profile->modules[location->module.v];
			inside = inside ||
				 (strcmp(profile_text(profile, module->path), own_path) == 0 &&
				  location->svma >= (uint64_t)(uintptr_t)start - bias &&
				  location->svma < (uint64_t)(uintptr_t)end - bias);
		}
		n += inside ? (uint64_t)profile->values[i * profile->n_value_types] : 0;
	}
	return n;
}

static inline uint64_t square_root(uint64_t n)
{
	uint64_t root = 0;
	while ((root + 1) * (root + 1) <= n)
		root++;
	return root;
}

/*
 * How far a count of samples may be from the expected one. Timers per CPU hit a thread at random,
 * the more so the shorter its turns: up to 5 standard deviations. Timers per thread are exact but
 * for what is left of a period on each CPU at the end of each thread; a hypervisor takes some.
 */
static inline uint64_t allowance(uint64_t expected)
{
	return 5 * square_root(expected) + expected / 20;
}

static inline void assert_near(uint64_t samples, uint64_t expected)
{
	uint64_t off = samples > expected ? samples - expected : expected - samples;
	if (off > allowance(expected))
		fail_msg("%lu samples, not about %lu", (unsigned long)samples,
			 (unsigned long)expected);
}

/* @sampled_ns: in periods of 1,001,001 ns, as all here is recorded at 999 Hz */
static inline void assert_cpu_close(uint64_t sampled_ns, uint64_t used_ns)
{
	assert_near(sampled_ns / 1001001, used_ns / 1001001);
}

static inline bool has_kernel(const struct profile *profile)
{
	for (size_t i = 0; i < profile->n_modules; i++) {
		if (profile_module_is_kernel(profile, (module_id){(uint32_t)i}))
			return true;
	}
	return false;
}

#endif
