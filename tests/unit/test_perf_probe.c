#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/perf_attr.h"
#include "capture/perf_probe.h"
#include "unwind/regs.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_perf_probe__root_may_do_everything(void **state)
{
	(void)state;
	struct perf_probe probe;
	perf_probe_run(0, &probe);
	if (!probe.usable)
		fail_msg("%s", probe.reason);
	assert_true(probe.capable);
	assert_true(probe.kernel_visible);
	assert_true(probe.system_wide);
	assert_string_equal(probe.system_reason, "");
	assert_int_equal(probe.open_errno, 0);
	assert_string_equal(probe.reason, "");
	assert_string_equal(probe.remedy, "");
	assert_true(probe.paranoid != INT_MIN);
	assert_true(probe.mlock_kb > 0);
}

static void test_perf_probe__missing_process(void **state)
{
	(void)state;
	struct perf_probe probe;
	perf_probe_run(INT_MAX, &probe);
	assert_false(probe.usable);
	assert_int_equal(probe.open_errno, ESRCH);
	assert_string_equal(probe.reason, "no such process: 2147483647");
}

static void test_perf_probe__process_of_somebody_else(void **state)
{
	(void)state;
	enum { NOBODY = 65534 };
	pid_t child = fork();
	if (child == 0) {
		struct perf_probe probe;
		char expected[128];
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(2);
		prctl(PR_SET_DUMPABLE, 1);
		perf_probe_run(getppid(), &probe);
		if (probe.usable || probe.capable || probe.open_errno != EACCES)
			_exit(3);
		/* what it is that bars the whole machine is said where anything works */
		struct perf_probe own;
		perf_probe_run(0, &own);
		if (own.usable &&
		    (own.system_wide != (own.paranoid <= 0) ||
		     (!own.system_wide && !strstr(own.system_reason, "perf_event_paranoid")) ||
		     (!own.system_wide && !strstr(own.system_remedy, "perf_event_paranoid=0"))))
			_exit(6);
		if (probe.paranoid > 2)
			_exit(strstr(probe.reason, "perf_event_paranoid") ? 0 : 4);
		snprintf(expected, sizeof(expected),
			 "process %d is not yours: it belongs to uid 0, ", getppid());
		_exit(strstr(probe.reason, expected) == probe.reason && *probe.remedy ? 0 : 5);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_perf_attr__layout_is_what_is_asked_for(void **state)
{
	(void)state;
	struct perf_event_attr attr;
	struct perf_setup setup = {
		.rate_hz = 999,
		.dump_bytes = 8192,
		.kernel_frames = true,
		.follow = PERF_FOLLOW_THREADS,
	};
	perf_attr_fill(&setup, &attr);
	assert_int_equal(attr.type, PERF_TYPE_SOFTWARE);
	assert_int_equal(attr.config, PERF_COUNT_SW_CPU_CLOCK);
	assert_int_equal(attr.sample_freq, 999);
	assert_true(attr.freq && attr.inherit && attr.inherit_thread && attr.disabled);
	assert_true((attr.sample_type & PERF_SAMPLE_CALLCHAIN) != 0);
	assert_true(attr.exclude_callchain_user);
	assert_false(attr.exclude_callchain_kernel);
	assert_false(attr.exclude_kernel);
	assert_int_equal(perf_attr_layout().n_regs, UNWIND_REGS_MAX);
	setup.kernel_frames = false;
	setup.user_chain = true;
	perf_attr_fill(&setup, &attr);
	assert_true((attr.sample_type & PERF_SAMPLE_CALLCHAIN) != 0);
	assert_false(attr.exclude_callchain_user);
	assert_true(attr.exclude_callchain_kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_probe__root_may_do_everything),
		cmocka_unit_test(test_perf_probe__missing_process),
		cmocka_unit_test(test_perf_probe__process_of_somebody_else),
		cmocka_unit_test(test_perf_attr__layout_is_what_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
