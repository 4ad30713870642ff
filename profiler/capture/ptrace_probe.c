#include "ptrace_probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CAPABILITY_SYS_PTRACE = 19 }; /* linux/capability.h */

/* Documentation/admin-guide/LSM/Yama.rst */
enum { YAMA_DESCENDANTS = 1, YAMA_ADMIN = 2, YAMA_NOBODY = 3 };

static ssize_t read_at(const char *root, const char *path, char *buf, size_t cap)
{
	char full[PROCFS_PATH_MAX];
	const int n = snprintf(full, sizeof(full), "%s%s", root, path);
	return n < 0 || (size_t)n >= sizeof(full) ? -ENAMETOOLONG : procfs_read(full, buf, cap);
}

static ssize_t read_of(const char *root, pid_t pid, const char *name, char *buf, size_t cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return read_at(root, path, buf, cap);
}

/* A number behind a name in a status file. Return: @missing when it is not there. */
static unsigned long long field(const char *text, const char *name, int base,
				unsigned long long missing)
{
	const char *at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, base) : missing;
}

static void read_own(const char *root, struct ptrace_facts *out)
{
	char text[4096];
	if (read_at(root, "/proc/self/status", text, sizeof(text)) <= 0)
		return;
	out->capable = field(text, "\nCapEff:", 16, 0) >> CAPABILITY_SYS_PTRACE & 1;
	out->has_filter = field(text, "\nSeccomp:", 10, 0) != 0;
}

static bool is_descendant(const char *root, pid_t pid, pid_t of)
{
	enum { GENERATIONS_MAX = 1000 };
	for (int i = 0; i < GENERATIONS_MAX && pid > 0; i++) {
		char text[4096];
		if (pid == of)
			return true;
		if (read_of(root, pid, "status", text, sizeof(text)) <= 0)
			return false;
		pid = (pid_t)field(text, "\nPPid:", 10, 0);
	}
	return false;
}

void ptrace_facts_read(const char *root, pid_t pid, struct ptrace_facts *out)
{
	char text[4096], state = 0;
	*out = (struct ptrace_facts){
		.pid = pid, .yama_scope = -1, .own_uid = geteuid(), .is_self = pid == getpid()};
	read_own(root, out);
	if (read_at(root, "/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0)
		out->yama_scope = (int)strtol(text, NULL, 10);
	if (read_of(root, pid, "status", text, sizeof(text)) <= 0)
		return;
	const char *uids = strstr(text, "\nUid:"), *state_line = strstr(text, "\nState:");
	unsigned uid = 0;
	if (!uids || sscanf(uids, "\nUid: %*u %u", &uid) != 1 || !state_line ||
	    sscanf(state_line, "\nState: %c", &state) != 1)
		return;
	out->exists = true;
	out->uid = uid;
	out->has_ended = state == 'X' || (state == 'Z' && field(text, "\nThreads:", 10, 1) <= 1);
	/* only programs have memory: proc(5), the Vm lines of status */
	out->kernel_thread = !out->has_ended && state != 'Z' && !strstr(text, "\nVmSize:");
	out->tracer = (pid_t)field(text, "\nTracerPid:", 10, 0);
	out->is_descendant = is_descendant(root, pid, getpid());
	out->runs_32_bit = procfs_runs_32_bit(root, pid);
	out->readable = read_of(root, pid, "syscall", text, sizeof(text)) > 0;
	if (out->tracer && read_of(root, out->tracer, "comm", text, sizeof(text)) > 0)
		snprintf(out->tracer_name, sizeof(out->tracer_name), "%.*s",
			 (int)strcspn(text, "\n"), text);
}

static void refuse(struct ptrace_probe *probe, int error, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void refuse(struct ptrace_probe *probe, int error, const char *remedy, const char *fmt, ...)
{
	va_list args;
	probe->usable = false;
	probe->error = error;
	va_start(args, fmt);
	vsnprintf(probe->reason, sizeof(probe->reason), fmt, args);
	va_end(args);
	snprintf(probe->remedy, sizeof(probe->remedy), "%s", remedy);
}

static const char CONTAINER_REMEDY[] = "in a container: start it with `--cap-add SYS_PTRACE` "
				       "(docker, podman), or run cprof on the "
				       "host";

/* It is there and has a program: may we? */
static void judge_permission(const struct ptrace_facts *facts, struct ptrace_probe *probe)
{
	const pid_t pid = facts->pid;
	const int scope = facts->yama_scope;
	const char *const sandbox = facts->has_filter ? "seccomp filter that cprof runs under"
						      : "sandbox that cprof runs in";
	if (facts->call_refused)
		refuse(probe, EPERM, CONTAINER_REMEDY, "ptrace() is refused by the %s", sandbox);
	else if (facts->memory_refused)
		refuse(probe, EPERM, CONTAINER_REMEDY, "process_vm_readv() is refused by the %s",
		       sandbox);
	else if (scope >= YAMA_NOBODY)
		refuse(probe, EPERM, "it can be lowered by a reboot only; use perf",
		       "kernel.yama.ptrace_scope is %d: nobody may trace on this machine", scope);
	else if (facts->readable)
		probe->usable = true;
	else if (scope == YAMA_ADMIN && !facts->capable)
		refuse(probe, EPERM,
		       "run cprof with sudo, or allow it: `sudo setcap cap_sys_ptrace=ep` on the "
		       "cprof binary",
		       "kernel.yama.ptrace_scope is 2: only those with CAP_SYS_PTRACE may trace");
	else if (facts->uid != facts->own_uid && !facts->capable)
		refuse(probe, EPERM, "run cprof as that user, or with sudo",
		       "process %d is not yours: it belongs to uid %u, cprof runs as uid %u", pid,
		       (unsigned)facts->uid, (unsigned)facts->own_uid);
	else if (scope == YAMA_DESCENDANTS && !facts->capable && !facts->is_descendant)
		refuse(probe, EPERM,
		       "have cprof start the program: `cprof record -- CMD`; or run cprof with "
		       "sudo, or allow it: `sudo sysctl kernel.yama.ptrace_scope=0`",
		       "kernel.yama.ptrace_scope is 1: only a process that started %d may trace it",
		       pid);
	else
		refuse(probe, EPERM,
		       facts->capable ? "run cprof with all capabilities, outside of this container"
				      : "run cprof with sudo",
		       "process %d may not be traced: it holds privileges that you do not have "
		       "(setuid, capabilities, another user namespace) or made itself not dumpable",
		       pid);
}

void ptrace_probe_judge(const struct ptrace_facts *facts, struct ptrace_probe *out)
{
	const pid_t pid = facts->pid;
	struct ptrace_probe probe = {0};
	if (!facts->exists)
		refuse(&probe, ESRCH, "check the number, e.g. with `pgrep -a NAME`",
		       "no such process: %d", pid);
	else if (facts->is_self)
		refuse(&probe, EPERM, "", "%d is cprof itself: it cannot stop itself", pid);
	else if (facts->has_ended)
		refuse(&probe, ESRCH, "",
		       "process %d has ended: it only waits for its parent to notice", pid);
	else if (facts->kernel_thread)
		refuse(&probe, EPERM, "", "%d is a thread of the kernel: it has no program to stop",
		       pid);
	else if (facts->tracer)
		refuse(&probe, EBUSY, "end that one first, or use perf, which need not be alone",
		       "process %d is traced already, by %d%s%s%s; a process has one tracer at "
		       "most",
		       pid, facts->tracer, *facts->tracer_name ? " (" : "", facts->tracer_name,
		       *facts->tracer_name ? ")" : "");
	else if (facts->runs_32_bit)
		refuse(&probe, ENOTSUP, "",
		       "process %d runs a 32-bit program: its stacks cannot be unwound", pid);
	else
		judge_permission(facts, &probe);
	*out = probe;
}

/* Number 0 is nobody's: what may be asked for gives ESRCH. */
static bool call_is_refused(void)
{
	return ptrace(PTRACE_SEIZE, 0, NULL, NULL) < 0 && errno != ESRCH;
}

/* Stacks are read by it. Of ourselves it is never refused for want of permission. */
static bool memory_is_refused(void)
{
	char from = 0, to;
	const struct iovec local = {&to, 1}, remote = {&from, 1};
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != 1;
}

void ptrace_probe_run(pid_t pid, struct ptrace_probe *out)
{
	struct ptrace_facts facts;
	ptrace_facts_read("", pid, &facts);
	facts.call_refused = call_is_refused();
	facts.memory_refused = memory_is_refused();
	ptrace_probe_judge(&facts, out);
}
