/*
 * refuse_perf.c - runs a program under a seccomp filter as containers have it: perf_event_open
 * gives EPERM, and so do others where that is asked for:
 *
 *     refuse_perf [--ptrace | --readv | --old] PROGRAM ARG...
 *
 * --old: what is younger than a profile of 2019, which refuses what it does not know.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS_MAX = 4 };

struct choice {
	const char *option;
	unsigned calls[CALLS_MAX]; /* besides; 0 = no more, as read(2) is never refused */
};

static const struct choice choices[] = {
	{"--ptrace", {SYS_ptrace}},
	{"--readv", {SYS_process_vm_readv}},
	/* clone3 is left out: without it glibc 2.34 and later start no thread at all */
	{"--old", {SYS_pidfd_open, SYS_close_range, SYS_faccessat2}},
	{NULL, {0}},
};

static unsigned short add_refusal(struct sock_filter *code, unsigned short n, unsigned call)
{
	code[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
	code[n + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	return n + 2;
}

static int install(const struct choice *choice)
{
	struct sock_filter code[2 * CALLS_MAX + 4] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	unsigned short n = add_refusal(code, 1, SYS_perf_event_open);
	for (int i = 0; i < CALLS_MAX && choice->calls[i]; i++)
		n = add_refusal(code, n, choice->calls[i]);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog filter = {.len = n, .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

int main(int argc, char **argv)
{
	const struct choice *choice = choices;
	while (choice->option && (argc < 2 || strcmp(argv[1], choice->option) != 0))
		choice++;
	char **command = argv + 1 + (choice->option != NULL);
	if (!*command)
		return 2;
	if (install(choice) < 0) {
		perror("seccomp");
		return 2;
	}
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}
