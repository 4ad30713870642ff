#include "perf_probe.h"

#include "perf_attr.h"
#include "procfs.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* linux/capability.h; the newer one is absent from older headers */
enum { CAPABILITY_SYS_ADMIN = 21, CAPABILITY_PERFMON = 38 };

enum { SECCOMP_FILTER = 2 }; /* proc(5): Seccomp in /proc/PID/status */

struct own_status {
	bool capable;
	int seccomp;
};

static struct own_status read_own_status(void)
{
	struct own_status status = {0};
	char text[4096];
	if (procfs_read("/proc/self/status", text, sizeof(text)) <= 0)
		return status;
	const char *line = strstr(text, "\nCapEff:");
	if (line) {
		unsigned long long mask = strtoull(line + strlen("\nCapEff:"), NULL, 16);
		status.capable =
			(mask >> CAPABILITY_PERFMON & 1) || (mask >> CAPABILITY_SYS_ADMIN & 1);
	}
	line = strstr(text, "\nSeccomp:");
	if (line)
		status.seccomp = (int)strtol(line + strlen("\nSeccomp:"), NULL, 10);
	return status;
}

/* Open an event like those of a recording. Return: 0 or -errno. */
static int try_open(bool hardware, bool exclude_kernel, pid_t pid, int cpu)
{
	struct perf_setup setup = {
		.hardware = hardware,
		.rate_hz = 1, /* the limit on the rate is another question */
		.dump_bytes = 1024,
		.exclude_kernel = exclude_kernel,
		.follow = cpu < 0 ? PERF_FOLLOW_CHILDREN : PERF_FOLLOW_NONE,
	};
	struct perf_event_attr attr;
	perf_attr_fill(&setup, &attr);
	int fd = perf_attr_open(&attr, pid, cpu);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void explain(struct perf_probe *probe, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void explain(struct perf_probe *probe, const char *remedy, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(probe->reason, sizeof(probe->reason), fmt, args);
	va_end(args);
	snprintf(probe->remedy, sizeof(probe->remedy), "%s", remedy);
}

static const char CONTAINER_REMEDY[] =
	"in a container: start it with `--cap-add PERFMON`, and where that is not enough with "
	"`--security-opt seccomp=unconfined` (docker, podman), or run cprof on the host";

static const char SYSCTL_REMEDY[] =
	"run cprof with sudo, or allow it: `sudo sysctl kernel.perf_event_paranoid=2` (1 to see "
	"time in the kernel too), or `sudo setcap cap_perfmon=ep` on the cprof binary";

static void explain_refusal(struct perf_probe *probe, pid_t pid, int seccomp)
{
	/* whether the process is the obstacle shows in whether we may record ourselves */
	bool self_works = pid != 0 && try_open(false, true, 0, -1) == 0;
	uid_t uid = 0;
	pid_t tgid;
	if (self_works && procfs_owner(pid, &uid, &tgid) == 0 && uid != geteuid()) {
		explain(probe, "run cprof as that user, or with sudo",
			"process %d is not yours: it belongs to uid %u, cprof runs as uid %u", pid,
			uid, geteuid());
	} else if (self_works) {
		explain(probe, "run cprof with sudo",
			"process %d may not be inspected: it holds privileges that you do not have "
			"(setuid, capabilities) or made itself not dumpable",
			pid);
	} else if (!probe->capable && probe->paranoid > 2) {
		explain(probe, SYSCTL_REMEDY,
			"kernel.perf_event_paranoid is %d: this kernel then refuses perf events to "
			"everyone without CAP_PERFMON",
			probe->paranoid);
	} else if (seccomp == SECCOMP_FILTER) {
		explain(probe, CONTAINER_REMEDY,
			"perf_event_open is refused (%s) by the seccomp filter that cprof runs "
			"under",
			strerror(probe->open_errno));
	} else {
		explain(probe, CONTAINER_REMEDY,
			"perf_event_open is refused (%s) although kernel.perf_event_paranoid (%d) "
			"and "
			"capabilities would allow it: a security module or the sandbox says no",
			strerror(probe->open_errno), probe->paranoid);
	}
}

static void explain_failure(struct perf_probe *probe, pid_t pid, int seccomp)
{
	switch (probe->open_errno) {
	case EPERM:
	case EACCES:
		explain_refusal(probe, pid, seccomp);
		break;
	case ESRCH:
		explain(probe, "check the number, e.g. with `pgrep -a NAME`", "no such process: %d",
			pid);
		break;
	case ENOSYS:
		if (seccomp == SECCOMP_FILTER)
			explain(probe, CONTAINER_REMEDY,
				"perf_event_open is hidden by the seccomp filter that cprof runs "
				"under");
		else
			explain(probe, "use a kernel built with CONFIG_PERF_EVENTS",
				"this kernel has no perf_event_open");
		break;
	case EMFILE:
	case ENFILE:
		explain(probe, "raise `ulimit -n`", "out of file descriptors");
		break;
	default:
		explain(probe, "use Linux 4.8 or later", "perf_event_open failed: %s",
			strerror(probe->open_errno));
		break;
	}
}

/* Why not all tasks. */
static void explain_system_wide(struct perf_probe *probe, int code)
{
	if (!probe->capable && probe->paranoid > 0) {
		snprintf(probe->system_reason, sizeof(probe->system_reason),
			 "kernel.perf_event_paranoid is %d: events of all processes then take "
			 "CAP_PERFMON",
			 probe->paranoid);
		snprintf(probe->system_remedy, sizeof(probe->system_remedy),
			 "run cprof with sudo, or allow it: `sudo sysctl "
			 "kernel.perf_event_paranoid=0`, or `sudo setcap cap_perfmon=ep` on the "
			 "cprof binary");
	} else {
		snprintf(probe->system_reason, sizeof(probe->system_reason),
			 "events of all processes are refused (%s): a security module or the "
			 "sandbox says no",
			 strerror(-code));
		snprintf(probe->system_remedy, sizeof(probe->system_remedy), "%s",
			 CONTAINER_REMEDY);
	}
}

void perf_probe_run(pid_t pid, struct perf_probe *out)
{
	struct perf_probe probe = {0};
	struct own_status status = read_own_status();
	probe.paranoid = (int)procfs_number("/proc/sys/kernel/perf_event_paranoid", INT_MIN);
	probe.mlock_kb = procfs_number("/proc/sys/kernel/perf_event_mlock_kb", -1);
	probe.capable = status.capable;
	/* any refusal of the hardware event is a reason to try the timer: there is no PMU (ENOENT),
	 * it cannot interrupt (EOPNOTSUPP), or the hypervisor's is incomplete (EINVAL, ENODEV) */
	probe.hardware_cycles = try_open(true, true, pid, -1) == 0;
	int code = probe.hardware_cycles ? 0 : try_open(false, true, pid, -1);
	if (code == 0) {
		probe.usable = true;
		probe.kernel_visible = try_open(probe.hardware_cycles, false, pid, -1) == 0;
		code = try_open(probe.hardware_cycles, !probe.kernel_visible, -1, 0);
		probe.system_wide = code == 0;
		if (code < 0)
			explain_system_wide(&probe, code);
	} else {
		probe.open_errno = -code;
		explain_failure(&probe, pid, status.seccomp);
	}
	*out = probe;
}
