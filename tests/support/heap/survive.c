/*
 * survive.c - does one thing that a heap profiler must survive, named by its argument.
 *
 * Blocks that the test looks for have sizes from 700000 on, each its own, so that the blocks in the
 * file tell which of them were seen, freed or missed. Exit status 0 = the program was not
 * disturbed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;

static void *volatile kept;

/* The compiler knows what malloc is, and leaves out what nobody uses. */
static void *keep(void *block)
{
	kept = block;
	return block;
}

static void require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "survive: %s\n", what);
	_exit(1);
}

static void free_by(const char *name, void *block, size_t align, size_t size)
{
	void *found = dlsym(RTLD_DEFAULT, name);
	require(found != NULL, name);
	if (align)
		((void (*)(void *, size_t, size_t))found)(block, align, size);
	else
		((void (*)(void *, size_t))found)(block, size);
}

static void family(void)
{
	void *block = NULL;
	volatile size_t huge = SIZE_MAX / 2;
	keep(malloc(700001));
	keep(calloc(1, 700002));
	keep(realloc(malloc(10), 700003));
	keep(reallocarray(NULL, 2, 350002));
	keep(memalign(64, 700005));
	keep(aligned_alloc(64, 700032));
	require(posix_memalign(&block, 4096, 700007) == 0 && (uintptr_t)block % 4096 == 0, "align");
	keep(block);
	keep(valloc(700008));
	keep(pvalloc(700009));
	free_by("free_sized", malloc(700010), 0, 700010);
	free_by("free_aligned_sized", aligned_alloc(64, 700096), 64, 700096);
	require(realloc(keep(malloc(700012)), 0) == NULL, "realloc to 0 frees");
	block = keep(malloc(700013));
	errno = 0;
	require(realloc(block, huge) == NULL && errno == ENOMEM, "realloc fails");
	require(reallocarray(block, huge, 3) == NULL, "reallocarray fails");
	require(calloc(huge, 3) == NULL && errno == ENOMEM, "calloc fails");
	require(malloc_usable_size(block) >= 700013, "usable size");
	errno = 77;
	free(keep(malloc(700014)));
	keep(realloc(keep(malloc(20)), 30));
	require(errno == 77, "errno is kept");
	free(NULL);
}

static pthread_key_t key;

static void free_late(void *block)
{
	static __thread int rounds;
	/* as late as a destructor can run */
	if (++rounds < 4 && pthread_setspecific(key, block) == 0)
		return;
	free(block);
	keep(malloc(700002));
}

static void *with_key(void *block)
{
	pthread_setspecific(key, block);
	return NULL;
}

static void join(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	require(pthread_create(&thread, NULL, run, argument) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

static void thread_exit(void)
{
	pthread_key_create(&key, free_late);
	join(with_key, keep(malloc(700001)));
}

static volatile int stop;

static void *churn(void *argument)
{
	while (!stop)
		free(keep(malloc(100 + (uintptr_t)argument)));
	return NULL;
}

static void wait_for(pid_t pid)
{
	int status = 1;
	require(waitpid(pid, &status, 0) == pid && status == 0, "child");
}

/* As programs that set their title do: all of the environment's memory is something else now. */
static void wipe_environment(void)
{
	for (char **at = environ; *at; at++)
		memset(*at, 'x', strlen(*at));
}

/* Fork while other threads are inside of malloc; glibc keeps its own locks right. */
static void fork_threaded(void)
{
	pthread_t threads[3];
	void *inherited = keep(malloc(700001));
	wipe_environment();
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, (void *)i);
	for (int i = 0; i < 20; i++) {
		const pid_t pid = fork();
		if (pid == 0) {
			keep(malloc(700005));
			free(inherited);
			exit(0);
		}
		wait_for(pid);
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static void spawn(void)
{
	char *arguments[] = {"/bin/true", NULL};
	pid_t pid;
	keep(malloc(700001));
	for (volatile int i = 0; i < 20; i++) {
		require(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0,
			"spawn");
		wait_for(pid);
		pid = vfork();
		if (pid == 0)
			execv("/bin/true", arguments);
		wait_for(pid);
	}
	keep(malloc(700002));
}

static void on_signal(int number)
{
	(void)number;
	const int saved_errno = errno;
	void *blocks[4];
	for (int i = 0; i < 4; i++)
		blocks[i] = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 4; i++)
		munmap(blocks[i], 4096);
	/* not async-signal-safe, and done everywhere; the alarm is masked while libc is inside */
	errno = saved_errno;
}

static void on_safe_signal(int number)
{
	(void)number;
	free(keep(malloc(300)));
}

/* Signals that interrupt the hooks anywhere, on a small stack of their own. */
static void signals(void)
{
	static char stack[64 << 10];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_RESTART};
	const struct itimerval often = {{0, 200}, {0, 200}};
	const struct itimerval never = {{0, 0}, {0, 0}};
	sigaltstack(&alternate, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 300000; i++)
		free(keep(malloc(64)));
	setitimer(ITIMER_REAL, &never, NULL);
	action.sa_handler = on_safe_signal;
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 1000; i++)
		raise(SIGUSR1);
	keep(malloc(700001));
}

/* What a daemon does; then a file of its own, and enough blocks that the heap's file grows. */
static void closed_fds(void)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	const int own = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	if (own != 0)
		_exit(1);
	for (int i = 0; i < 200000; i++)
		keep(malloc(24));
	char byte;
	if (write(own, "x", 1) != 1 || pread(own, &byte, 1, 0) != 1 || lseek(own, 0, SEEK_END) != 1)
		_exit(1);
	keep(malloc(700001));
}

static void exec_again(char **argv)
{
	char *arguments[] = {argv[0], "one", NULL};
	keep(malloc(700001));
	execv("/proc/self/exe", arguments);
}

static void one(void)
{
	keep(malloc(700005));
}

static void reload(const char *path, int n)
{
	for (int i = 0; i < n; i++) {
		void *plugin = dlopen(path, RTLD_NOW);
		require(plugin != NULL, path);
		void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_allocate");
		void *volatile block = allocate(104);
		free(block);
		keep(i + 1 == n ? allocate(700001) : NULL);
		require(dlclose(plugin) == 0, "dlclose");
	}
}

static void plugins(char **argv)
{
	void *at[2];
	for (int i = 0; i < 2; i++) {
		void *plugin = dlopen(argv[2 + i], RTLD_NOW);
		require(plugin != NULL, argv[2 + i]);
		void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_allocate");
		require(allocate != NULL, "plugin_allocate");
		keep(allocate(700001 + (size_t)i));
		at[i] = (void *)allocate;
		require(dlclose(plugin) == 0, "dlclose");
	}
	/* or the test would show nothing */
	require(at[0] == at[1], "both plugins at one address");
}

/* Its constructor waits for a thread while dlopen() has the loader's lock. */
static void constructor(const char *plugin)
{
	require(dlopen(plugin, RTLD_NOW) != NULL, plugin);
}

/* The next program finds a kernel that does not know MADV_POPULATE_READ and _WRITE. */
static void exec_on_old_kernel(char **argv)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 22, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 23, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
	exec_again(argv);
}

static ucontext_t main_context, coroutine;

__attribute__((noinline)) static void in_coroutine(int size)
{
	keep(malloc((size_t)size));
	swapcontext(&coroutine, &main_context);
}

static void run_on(void *stack, size_t bytes, int size)
{
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = bytes;
	coroutine.uc_link = &main_context;
	makecontext(&coroutine, (void (*)(void))in_coroutine, 1, size);
	swapcontext(&main_context, &coroutine);
}

/* Stacks that come and go at one place, each smaller than the one before, with nothing above. */
static void coroutines(void)
{
	const size_t most = 256 << 10;
	uint8_t *place = mmap(NULL, most, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t bytes = most; bytes >= 32 << 10; bytes -= 4096) {
		mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0);
		for (int i = 0; i < 4; i++)
			run_on(place, bytes, 64);
		munmap(place + (32 << 10), most - (32 << 10));
	}
	run_on(place, 32 << 10, 700001);
	keep(malloc(700002));
}

#define ALLOW(number)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void sandbox(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_madvise),
		ALLOW(__NR_mmap), /* the allocator's own */
		ALLOW(__NR_munmap),
		ALLOW(__NR_mprotect),
		ALLOW(__NR_brk),
		ALLOW(__NR_futex),
		ALLOW(__NR_write),
		ALLOW(__NR_rt_sigprocmask), /* the end of a thread */
		ALLOW(__NR_exit),
		ALLOW(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			&program) == 0,
		"seccomp");
}

static pthread_barrier_t barrier;

/* Its first event comes when system calls are forbidden. */
static void *begin_in_sandbox(void *unused)
{
	pthread_barrier_wait(&barrier); /* runs: what starting it takes is done */
	pthread_barrier_wait(&barrier);
	keep(malloc(700003));
	return unused;
}

static void many(int n)
{
	for (int i = 0; i < n; i++)
		keep(malloc(24));
}

static void sandboxed(void)
{
	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, begin_in_sandbox, NULL);
	keep(malloc(700001));
	pthread_barrier_wait(&barrier);
	sandbox();
	many(200000);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	keep(malloc(700002));
	_exit(0);
}

static void deleted(void)
{
	char path[600];
	const char *output = getenv("CPROF_HEAP_OUTPUT");
	snprintf(path, sizeof(path), "%s", output ? output : "");
	require(unlink(path) == 0, "unlink the heap's file");
	many(200000);
}

/* Frees less than it allocates, from all threads, each block in another thread than its own. */
enum { EXCHANGE = 64 };
static void *exchange[EXCHANGE];

static void *swap_blocks(void *argument)
{
	unsigned random = (unsigned)(uintptr_t)argument * 2654435761u + 1;
	for (int i = 0; i < 50000; i++) {
		random = random * 1103515245u + 12345u;
		void *block = malloc(16 + random % 512);
		free(__atomic_exchange_n(&exchange[random >> 16 & (EXCHANGE - 1)], block,
					 __ATOMIC_ACQ_REL));
	}
	return NULL;
}

static pthread_barrier_t all_there;

static void *allocate_among_many(void *argument)
{
	pthread_barrier_wait(&all_there);
	for (int i = 0; i < 50; i++) {
		void *volatile block = malloc(104);
		free(block);
	}
	pthread_barrier_wait(&all_there);
	return argument;
}

/* All of them at the same time. */
static void many_threads(int n)
{
	pthread_attr_t attributes;
	pthread_t *all = malloc((size_t)n * sizeof(*all));
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	pthread_barrier_init(&all_there, NULL, (unsigned)n);
	for (int i = 0; i < n; i++)
		require(pthread_create(&all[i], &attributes, allocate_among_many, NULL) == 0,
			"pthread_create");
	for (int i = 0; i < n; i++)
		pthread_join(all[i], NULL);
	free(all);
	keep(malloc(700001));
}

static void threads(int n)
{
	pthread_t all[64];
	for (uintptr_t i = 0; i < (uintptr_t)n; i++)
		require(pthread_create(&all[i], NULL, swap_blocks, (void *)i) == 0, "thread");
	for (int i = 0; i < n; i++)
		pthread_join(all[i], NULL);
	for (int i = 0; i < EXCHANGE; i++)
		free(exchange[i]);
}

static void peak(void)
{
	void *blocks[100];
	for (size_t i = 0; i < 100; i++)
		blocks[i] = malloc(700000);
	for (size_t i = 0; i < 100; i++)
		free(blocks[i]);
	for (size_t i = 0; i < 50; i++)
		blocks[i] = keep(malloc(700001));
}

/* So deep that a stack does not fit, and at every depth a block. */
__attribute__((noinline)) static int recurse(int depth)
{
	keep(malloc(depth == 0 ? 700001 : 16));
	return depth == 0 ? 0 : recurse(depth - 1) + (kept != NULL);
}

static void forever(void)
{
	printf("ready\n");
	fflush(stdout);
	pthread_t thread;
	for (uintptr_t i = 0; i < 7; i++)
		pthread_create(&thread, NULL, churn, (void *)(i * 16));
	churn(NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const int number = argc > 2 ? atoi(argv[2]) : 0;
	if (strcmp(mode, "family") == 0)
		family();
	else if (strcmp(mode, "thread_exit") == 0)
		thread_exit();
	else if (strcmp(mode, "fork") == 0)
		fork_threaded();
	else if (strcmp(mode, "spawn") == 0)
		spawn();
	else if (strcmp(mode, "signals") == 0)
		signals();
	else if (strcmp(mode, "closed_fds") == 0)
		closed_fds();
	else if (strcmp(mode, "exec") == 0)
		exec_again(argv);
	else if (strcmp(mode, "one") == 0)
		one();
	else if (strcmp(mode, "plugins") == 0)
		plugins(argv);
	else if (strcmp(mode, "exec_on_old_kernel") == 0)
		exec_on_old_kernel(argv);
	else if (strcmp(mode, "many_threads") == 0)
		many_threads(number);
	else if (strcmp(mode, "reload") == 0)
		reload(argv[3], number);
	else if (strcmp(mode, "constructor") == 0)
		constructor(argv[2]);
	else if (strcmp(mode, "coroutines") == 0)
		coroutines();
	else if (strcmp(mode, "sandboxed") == 0)
		sandboxed();
	else if (strcmp(mode, "deleted") == 0)
		deleted();
	else if (strcmp(mode, "many") == 0)
		many(number);
	else if (strcmp(mode, "threads") == 0)
		threads(number);
	else if (strcmp(mode, "peak") == 0)
		peak();
	else if (strcmp(mode, "recurse") == 0)
		require(recurse(number) == number, "depth");
	else if (strcmp(mode, "forever") == 0)
		forever();
	else
		return 2;
	return 0;
}
