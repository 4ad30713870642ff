#include "procfs.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "clock.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t procfs_read(const char *path, char *buf, size_t cap)
{
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t n = 0;
	while (n + 1 < cap) {
		ssize_t got = read(fd, buf + n, cap - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	buf[n] = 0;
	return (ssize_t)n;
}

int procfs_check(const char *root, struct cp_err *err)
{
	char path[PROCFS_PATH_MAX], own[32];
	snprintf(path, sizeof(path), "%s/proc/self", root);
	const ssize_t n = readlink(path, own, sizeof(own) - 1);
	if (n < 0)
		return cp_fail(
			err, -errno,
			"/proc cannot be read (%s): mount it with `mount -t proc proc /proc`",
			strerror(errno));
	own[n] = 0;
	if (strtol(own, NULL, 10) != getpid())
		return cp_fail(
			err, -ESRCH,
			"/proc here shows the processes of another PID namespace than cprof's, so "
			"numbers mean others; mount its own with `mount -t proc proc /proc`, or "
			"run "
			"cprof in that namespace, with nsenter");
	return 0;
}

long procfs_number(const char *path, long missing)
{
	char text[64];
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return missing;
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	return errno || end == text ? missing : value;
}

bool procfs_comm(pid_t pid, pid_t tid, char out[PROCFS_COMM_MAX])
{
	char path[64], text[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return false;
	text[strcspn(text, "\n")] = 0;
	text[PROCFS_COMM_MAX - 1] = 0;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static uint64_t ticks_to_ns(unsigned long long ticks)
{
	static long hz;
	if (hz == 0)
		hz = sysconf(_SC_CLK_TCK);
	return ticks * (CLOCK_NS_PER_S / (uint64_t)(hz > 0 ? hz : 100));
}

/* From ticks since the machine was started, suspended or not, to CLOCK_MONOTONIC. */
static uint64_t started_ns(unsigned long long ticks)
{
	uint64_t now_ns = clock_now_ns(); /* first: CLOCK_BOOTTIME is never behind it */
	uint64_t suspended_ns = clock_read_ns(CLOCK_BOOTTIME) - now_ns;
	uint64_t started = ticks_to_ns(ticks);
	return started > suspended_ns ? started - suspended_ns : 0;
}

int procfs_stat(pid_t pid, struct procfs_stat *out)
{
	enum { PF_KTHREAD_FLAG = 0x00200000 }; /* include/linux/sched.h */
	char path[64], text[2048];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return -ESRCH;
	/* the name in parentheses may hold anything; the fields begin after the last ')' */
	const char *fields = strrchr(text, ')');
	char state;
	unsigned flags;
	int parent;
	unsigned long long user, system, start;
	long long children_user, children_system;
	long n_threads;
	if (!fields || sscanf(fields + 1,
			      " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %lld %lld "
			      "%*d %*d %ld %*d %llu",
			      &state, &parent, &flags, &user, &system, &children_user,
			      &children_system, &n_threads, &start) != 9)
		return -EBADMSG;
	*out = (struct procfs_stat){
		.state = state,
		.n_threads = n_threads,
		.kernel_thread = (flags & PF_KTHREAD_FLAG) != 0,
		.parent = parent,
		.started_ns = started_ns(start),
		.user_ns = ticks_to_ns(user),
		.system_ns = ticks_to_ns(system),
		.children_user_ns = ticks_to_ns((unsigned long long)children_user),
		.children_system_ns = ticks_to_ns((unsigned long long)children_system),
	};
	return 0;
}

bool procfs_has_ended(pid_t pid)
{
	struct procfs_stat stat;
	int code = procfs_stat(pid, &stat);
	if (code < 0)
		return code == -ESRCH;
	/* a first thread that has exited before the others is a zombie too */
	return stat.state == 'X' || (stat.state == 'Z' && stat.n_threads <= 1);
}

int procfs_owner(pid_t pid, uid_t *out_uid, pid_t *out_tgid)
{
	char path[64], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return -ESRCH;
	const char *tgid_line = strstr(text, "\nTgid:"), *uid_line = strstr(text, "\nUid:");
	int tgid;
	unsigned uid;
	if (!tgid_line || sscanf(tgid_line, "\nTgid: %d", &tgid) != 1 || !uid_line ||
	    sscanf(uid_line, "\nUid: %*u %u", &uid) != 1)
		return -EBADMSG;
	*out_uid = uid;
	*out_tgid = tgid;
	return 0;
}

pid_t procfs_tracer(pid_t tid, char *out_state)
{
	char path[64], text[4096];
	int tracer = 0;
	*out_state = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (procfs_read(path, text, sizeof(text)) <= 0)
		return 0;
	const char *state_line = strstr(text, "\nState:");
	const char *tracer_line = strstr(text, "\nTracerPid:");
	if (!state_line || sscanf(state_line, "\nState: %c", out_state) != 1 || !tracer_line ||
	    sscanf(tracer_line, "\nTracerPid: %d", &tracer) != 1)
		return 0;
	return tracer;
}

bool procfs_is_held_by(pid_t tid, pid_t tracer)
{
	char state;
	uid_t uid;
	pid_t tgid;
	const pid_t by = procfs_tracer(tid, &state);
	/* an end that its tracer has not taken yet keeps an exec or the parent waiting */
	return by && (state == 't' || state == 'Z') && procfs_owner(by, &uid, &tgid) == 0 &&
	       tgid == tracer;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The entries of a directory that are numbers. Return: 0, -ENOMEM, or why it cannot be opened. */
static int list_numbers(const char *path, pid_t **ids, size_t *n, size_t *cap)
{
	*n = 0;
	CP_CLEANUP(close_dir) DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	const struct dirent *entry;
	while ((entry = readdir(dir))) {
		uint64_t id;
		if (!cp_parse_u64(entry->d_name, 1, INT32_MAX, &id))
			continue;
		pid_t *slot = CP_ARRAY_PUSH(*ids, *n, *cap);
		if (!slot)
			return -ENOMEM;
		*slot = (pid_t)id;
	}
	return 0;
}

int procfs_threads(pid_t pid, pid_t **tids, size_t *n, size_t *cap)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	int code = list_numbers(path, tids, n, cap);
	return code == 0 || code == -ENOMEM ? code : -ESRCH;
}

int procfs_processes(pid_t **pids, size_t *n, size_t *cap)
{
	return list_numbers("/proc", pids, n, cap);
}

int procfs_machine_time(uint64_t *out_user_ns, uint64_t *out_system_ns)
{
	char text[512];
	unsigned long long user, nice, system, irq, softirq;
	if (procfs_read("/proc/stat", text, sizeof(text)) <= 0)
		return -ENOENT;
	/* guests are in user and nice; steal is nobody's */
	if (sscanf(text, "cpu %llu %llu %llu %*u %*u %llu %llu", &user, &nice, &system, &irq,
		   &softirq) != 5)
		return -EBADMSG;
	*out_user_ns = ticks_to_ns(user + nice);
	*out_system_ns = ticks_to_ns(system + irq + softirq);
	return 0;
}

static bool needs_quotes(const char *argument)
{
	return *argument == 0 || argument[strspn(argument, "abcdefghijklmnopqrstuvwxyz"
							   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							   "0123456789%+,-./:=@_")] != 0;
}

void procfs_quote(char *buf, size_t cap, const char *argument)
{
	size_t at = strlen(buf);
	bool quotes = needs_quotes(argument);
	/* room for a space, quotes and the NUL; each character may become four: '\'' */
	if (at + 4 > cap)
		return;
	if (at > 0)
		buf[at++] = ' ';
	if (quotes)
		buf[at++] = '\'';
	for (const char *c = argument; *c && at + 6 < cap; c++) {
		if (*c == '\'') {
			memcpy(buf + at, "'\\''", 4);
			at += 4;
		} else {
			/* a line break would end the header entry for line-wise readers */
			buf[at++] = *c == '\n' ? ' ' : *c;
		}
	}
	if (quotes)
		buf[at++] = '\'';
	buf[at] = 0;
}

void procfs_command(pid_t pid, char *buf, size_t cap)
{
	char path[64], text[4096];
	buf[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	ssize_t n = procfs_read(path, text, sizeof(text));
	/* a program that sets its own title (redis-server) leaves the rest of its arguments empty
	 */
	while (n > 0 && text[n - 1] == 0)
		n--;
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(text + at) + 1)
		procfs_quote(buf, cap, text + at);
}

bool procfs_runs_32_bit(const char *root, pid_t pid)
{
	char path[PROCFS_PATH_MAX];
	unsigned char ident[EI_NIDENT];
	snprintf(path, sizeof(path), "%s/proc/%d/exe", root, pid);
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, ident, sizeof(ident)) == (ssize_t)sizeof(ident) &&
	       memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] == ELFCLASS32;
}

bool procfs_exe_start(pid_t pid, uint64_t *out_avma)
{
	char path[64], exe[PROCFS_PATH_MAX];
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	CP_CLEANUP(cp_close_file) FILE *maps = fopen(path, "re");
	if (!maps)
		return false;
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, maps) > 0) {
		unsigned long long start;
		char prot[5];
		int path_at = 0;
		if (sscanf(line, "%llx-%*x %4s %*s %*s %*s %n", &start, prot, &path_at) < 2 ||
		    path_at == 0)
			continue;
		line[strcspn(line, "\n")] = 0;
		if (prot[2] == 'x' && strcmp(line + path_at, exe) == 0) {
			*out_avma = start;
			return true;
		}
	}
	return false;
}

size_t procfs_online_cpus(int *cpus, size_t cap)
{
	char text[4096] = "";
	size_t n = 0;
	if (procfs_read("/sys/devices/system/cpu/online", text, sizeof(text)) > 0) {
		char *at = text;
		while (*at >= '0' && *at <= '9') {
			long first = strtol(at, &at, 10), last = first;
			if (*at == '-')
				last = strtol(at + 1, &at, 10);
			for (long cpu = first; cpu <= last && n < cap; cpu++)
				cpus[n++] = (int)cpu;
			if (*at != ',')
				break;
			at++;
		}
	}
	if (n == 0) { /* no sysfs here */
		long online = sysconf(_SC_NPROCESSORS_ONLN);
		for (long cpu = 0; cpu < (online > 0 ? online : 1) && n < cap; cpu++)
			cpus[n++] = (int)cpu;
	}
	return n;
}
