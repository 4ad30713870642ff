/* Frames of many shapes, one mode each: "PROGRAM NAME MS MODE". */
#include "kinds.h"

#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

KIND_FRAME void kind_leaf(void)
{
	kind_spin();
}

KIND_FRAME int kind_huge(void)
{
	volatile char bytes[40000];
	memset((char *)bytes, 1, sizeof(bytes)); /* perf does not fault pages in */
	kind_leaf();
	KIND_KEEP();
	return bytes[7];
}

KIND_FRAME int kind_realigned(void)
{
	_Alignas(128) volatile char bytes[256];
	bytes[3] = 1;
	kind_leaf();
	KIND_KEEP();
	return bytes[3];
}

typedef int vector __attribute__((vector_size(32)));

__attribute__((noinline, target("avx"))) int kind_avx(void)
{
	volatile vector locals = {1, 2, 3};
	kind_leaf();
	KIND_KEEP();
	return locals[1];
}

KIND_FRAME int kind_alloca(int n)
{
	volatile char *bytes = alloca((size_t)n);
	bytes[0] = 1;
	kind_leaf();
	KIND_KEEP();
	return bytes[0];
}

KIND_FRAME int kind_vla(int n)
{
	volatile char bytes[n];
	bytes[0] = 1;
	kind_leaf();
	KIND_KEEP();
	return bytes[0];
}

static jmp_buf back;

__attribute__((noinline, noreturn)) void kind_no_return(void)
{
	kind_leaf();
	KIND_KEEP();
	longjmp(back, 1);
}

/* Its last instruction is the call; the return address is the next function's first byte. */
KIND_FRAME void kind_calls_no_return(void)
{
	kind_no_return();
}

KIND_FRAME void kind_after_it(void)
{
	KIND_KEEP();
}

KIND_FRAME void kind_longjmp(void)
{
	if (setjmp(back) == 0)
		kind_calls_no_return();
	KIND_KEEP();
}

/* longjmp() itself, thousands of times a millisecond. */
KIND_FRAME void kind_jumper(void)
{
	for (volatile int i = 0; i < 1000; i++)
		if (setjmp(back) == 0)
			longjmp(back, 1);
}

static volatile int handler_spins;

/* An instruction that traps, and a handler that goes on behind it. */
static void kind_handler(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	ucontext_t *interrupted = context;
	if (handler_spins)
		kind_leaf();
	KIND_KEEP();
	interrupted->uc_mcontext.gregs[REG_RIP] += 2;
}

KIND_FRAME void kind_traps(void)
{
	__asm__ volatile("ud2");
	KIND_KEEP();
}

static void handle(int flags, int spins)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | flags};
	action.sa_sigaction = kind_handler;
	sigaction(SIGILL, &action, NULL);
	handler_spins = spins;
}

static void handle_elsewhere(void)
{
	const size_t size = 1 << 17;
	const stack_t alternate = {
		.ss_sp = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0),
		.ss_size = size,
	};
	sigaltstack(&alternate, NULL);
	handle(SA_ONSTACK, 1);
}

KIND_FRAME void kind_clock(void)
{
	struct timeval now;
	for (int i = 0; i < 1000; i++)
		gettimeofday(&now, NULL);
	KIND_KEEP();
}

KIND_FRAME void kind_vforks(void)
{
	const pid_t pid = vfork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void *kind_thread(void *arg)
{
	KIND_KEEP();
	return arg;
}

KIND_FRAME void kind_threads(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, kind_thread, NULL) == 0)
		pthread_join(thread, NULL);
}

static ucontext_t coroutine, caller;

static void kind_coroutine(void)
{
	kind_leaf();
	KIND_KEEP();
}

KIND_FRAME void kind_switches(void)
{
	static char *stack;
	if (!stack)
		stack = calloc(1, 1 << 16);
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = 1 << 16;
	coroutine.uc_link = &caller;
	makecontext(&coroutine, kind_coroutine, 0);
	swapcontext(&caller, &coroutine);
	KIND_KEEP();
}

KIND_FRAME int kind_run(const char *mode)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} plain[] = {
		{"noreturn", kind_longjmp},     {"longjmp", kind_jumper},
		{"signal", kind_traps},         {"sigaltstack", kind_traps},
		{"sigreturn", kind_traps},      {"vdso", kind_clock},
		{"vfork", kind_vforks},         {"threads", kind_threads},
		{"makecontext", kind_switches},
	};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(mode, plain[i].name) == 0) {
			plain[i].run();
			KIND_KEEP();
			return 1;
		}
	}
	const int done = strcmp(mode, "huge") == 0        ? kind_huge()
			 : strcmp(mode, "realigned") == 0 ? kind_realigned()
			 : strcmp(mode, "avx") == 0       ? kind_avx()
			 : strcmp(mode, "alloca") == 0    ? kind_alloca(1000)
			 : strcmp(mode, "vla") == 0       ? kind_vla(1000)
							  : 0;
	KIND_KEEP();
	return done;
}

int main(int argc, char **argv)
{
	const char *mode = kind_begin(argc, argv);
	if (strcmp(mode, "sigaltstack") == 0)
		handle_elsewhere();
	else
		handle(0, strcmp(mode, "signal") == 0);
	while (kind_more())
		if (!kind_run(mode))
			return 3;
	kind_after_it();
	return 0;
}
