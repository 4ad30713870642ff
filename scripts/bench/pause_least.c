/*
 * pause_least.c - the least that ptrace can stop a thread for, on this machine.
 *
 *     pause_least PID COUNT
 *
 * Stops the thread COUNT times as a sampler that copies nothing but registers would: attach,
 * interrupt, wait without sleeping, registers, detach. What its target sees of that is the floor
 * of every sampler by ptrace here: two interrupts to another CPU, and two switches of context.
 */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const pid_t pid = atoi(argv[1]);
	for (int left = atoi(argv[2]); left > 0; left--) {
		struct user_regs_struct regs;
		struct iovec where = {.iov_base = &regs, .iov_len = sizeof(regs)};
		int status = 0;
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0) {
			perror("pause_least: PTRACE_SEIZE");
			return 1;
		}
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
		while (waitpid(pid, &status, __WALL | WNOHANG) == 0)
			continue;
		ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &where);
		if (ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0) {
			perror("pause_least: PTRACE_DETACH");
			return 1;
		}
		const struct timespec between = {.tv_nsec = 1000000};
		nanosleep(&between, NULL);
	}
	return 0;
}
