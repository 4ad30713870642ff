/*
 * refuse_perf.c - runs a program under a seccomp filter as containers have it: perf_event_open
 * gives EPERM, and ptrace or process_vm_readv as well where that is asked for.
 *
 *     refuse_perf [--ptrace | --readv] PROGRAM ARG...
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

int main(int argc, char **argv)
{
	const int with_ptrace = argc > 1 && strcmp(argv[1], "--ptrace") == 0;
	const int with_readv = argc > 1 && strcmp(argv[1], "--readv") == 0;
	const unsigned second = with_ptrace  ? SYS_ptrace
				: with_readv ? SYS_process_vm_readv
					     : SYS_perf_event_open;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, second, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	char **command = argv + 1 + (with_ptrace || with_readv);
	if (!*command)
		return 2;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
		perror("seccomp");
		return 2;
	}
	execvp(command[0], command);
	perror(command[0]);
	return 127;
}
