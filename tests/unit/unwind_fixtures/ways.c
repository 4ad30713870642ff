/*
 * Executed one instruction at a time by test_unwinder_steps.c, between two int3: ways to get into a
 * function and out of it that are not a call and a return.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define KEEP() __asm__ volatile("" ::: "memory")

/* Assembly without information; ways_chains() has information and jumps on. */
void ways_leaf(void), ways_frame(void), ways_tail(void), ways_chains(void);
__asm__(".text\n"
	"ways_leaf: mov $3, %eax\n1: dec %eax\njnz 1b\nret\n"
	"ways_frame: push %rbp\nmov %rsp, %rbp\npush %rbx\nsub $24, %rsp\nxor %ebx, %ebx\n"
	"add $24, %rsp\npop %rbx\npop %rbp\nret\n"
	"ways_tail: nop\njmp ways_leaf\n"
	"ways_chains: .cfi_startproc\njmp ways_target\n.cfi_endproc\n");

static jmp_buf back;
static volatile int sink;

__attribute__((noinline, used)) void ways_target(void)
{
	sink++;
	KEEP();
}

static void handler(int number, siginfo_t *info, void *context)
{
	(void)info;
	sink = number;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

__attribute__((noinline)) static void traps(void)
{
	__asm__ volatile("ud2");
	KEEP();
}

__attribute__((noinline)) static void jumps(int depth)
{
	if (depth == 0)
		longjmp(back, 1);
	jumps(depth - 1);
	KEEP();
}

static void forks(void)
{
	const pid_t pid = vfork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO};
	action.sa_sigaction = handler;
	sigaction(SIGILL, &action, NULL);
	sigset_t of_child; /* its end would be one more stop */
	sigemptyset(&of_child);
	sigaddset(&of_child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &of_child, NULL);
	void (*volatile pointer)(void) = ways_leaf;
	__asm__ volatile("int3");
	ways_chains();
	traps();
	if (setjmp(back) == 0)
		jumps(3);
	forks();
	sink = (int)strtol("17", NULL, 10) + abs(getppid()); /* bound now, if it is lazy */
	if (WITH_BARE) {
		ways_leaf();
		pointer();
		ways_frame();
		ways_tail();
	}
	__asm__ volatile("int3");
	return 0;
}
