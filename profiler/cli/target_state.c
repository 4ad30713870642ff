#include "target_state.h"

#include "base/cleanup.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* include/linux/sched.h; shown in field 9 of /proc/PID/stat */
enum { PF_KTHREAD = 0x00200000 };

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

static bool read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	CP_CLEANUP(cp_close_fd) int fd = open_proc(pid, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return true;
}

static bool parse_stat(const char *text, struct target_state *out)
{
	/* comm may hold parentheses and spaces: it ends at the last ")" (proc(5)) */
	const char *open_paren = strchr(text, '('), *close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren || close_paren < open_paren)
		return false;
	snprintf(out->comm, sizeof(out->comm), "%.*s", (int)(close_paren - open_paren - 1),
		 open_paren + 1);
	unsigned flags;
	uint64_t user_ticks, system_ticks;
	if (sscanf(close_paren + 1,
		   " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		   " %*d %*d %*d %*d %u",
		   &out->state, &flags, &user_ticks, &system_ticks, &out->threads) != 5)
		return false;
	out->kernel_thread = flags & PF_KTHREAD;
	long hz = sysconf(_SC_CLK_TCK);
	out->cpu_ns = hz > 0 ? (user_ticks + system_ticks) * (1000000000 / (uint64_t)hz) : 0;
	return true;
}

static bool other_namespace(pid_t pid, const char *name)
{
	char theirs_path[64], ours_path[64];
	struct stat theirs, ours;
	snprintf(theirs_path, sizeof(theirs_path), "/proc/%d/ns/%s", (int)pid, name);
	snprintf(ours_path, sizeof(ours_path), "/proc/self/ns/%s", name);
	if (stat(theirs_path, &theirs) != 0 || stat(ours_path, &ours) != 0)
		return false;
	return theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

static bool is_other_machine(pid_t pid)
{
	Elf64_Ehdr header;
	CP_CLEANUP(cp_close_fd) int fd = open_proc(pid, "exe", O_RDONLY);
	if (fd < 0 || read(fd, &header, sizeof(header)) != (ssize_t)sizeof(header))
		return false;
	return header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64;
}

void target_state_read(pid_t pid, struct target_state *out)
{
	*out = (struct target_state){.pid = pid};
	char text[2048];
	if (!read_proc(pid, "stat", text, sizeof(text)) || !parse_stat(text, out))
		return;
	out->exists = true;
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) == 0)
		out->uid = st.st_uid;
	/* opening maps is checked like PTRACE_MODE_READ (proc(5)) */
	CP_CLEANUP(cp_close_fd) int maps = open_proc(pid, "maps", O_RDONLY);
	out->maps_readable = maps >= 0;
	out->other_mounts = other_namespace(pid, "mnt");
	out->other_pids = other_namespace(pid, "pid");
	out->not_x86_64 = is_other_machine(pid);
}

const char *target_state_word(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping: it waits for something";
	case 'D':
		return "waiting for a disk or another device";
	case 'T':
		return "stopped by a signal";
	case 't':
		return "stopped by a debugger";
	case 'Z':
		return "a zombie: it has ended and waits for its parent";
	case 'I':
		return "idle";
	default:
		return "in an unknown state";
	}
}
