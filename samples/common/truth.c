#include "truth.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROWS = 64, MAX_MARKS = 64, MAX_PHASES = 256 };
enum { PHASE_MIN_NS = 3000000, PHASE_SPAN_NS = 14000000, CHUNK_NS = 500000 };

struct row {
	const char *name;
	int tid;
	uint64_t cpu_ns;
};

struct mark {
	char name[64];
	char file[256];
	unsigned line;
};

struct phase {
	size_t work;
	uint64_t length_ns;
};

volatile uint64_t truth_sink;

static struct {
	const char *sample;
	double seconds, cpu_seconds;
	bool hold;
	uint64_t wall_start_ns, cpu_start_ns;
	struct rusage usage_start;
	struct truth_work works[MAX_ROWS];
	size_t n_works;
	struct row threads[MAX_ROWS], processes[MAX_ROWS], facts[MAX_ROWS];
	size_t n_threads, n_processes, n_facts;
	struct mark marks[MAX_MARKS];
	size_t n_marks;
} truth = {.seconds = 60};

static atomic_bool ended;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t truth_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static void on_end(int sig)
{
	(void)sig;
	atomic_store(&ended, true);
}

static void end_of_hold(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGUSR1);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
}

void truth_start(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_end, .sa_flags = SA_RESTART};
	const char *slash = strrchr(argv[0], '/');
	sigset_t go;

	truth.sample = slash ? slash + 1 : argv[0];
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "0";

		if (!strcmp(argv[i], "--hold"))
			truth.hold = true;
		else if (!strcmp(argv[i], "--seconds"))
			truth.seconds = strtod(value, NULL);
		else if (!strcmp(argv[i], "--cpu-seconds"))
			truth.cpu_seconds = strtod(value, NULL);
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	/* Blocked from the start, so that a SIGUSR1 sent early is not lost. */
	end_of_hold(&go);
	if (truth.hold)
		pthread_sigmask(SIG_BLOCK, &go, NULL);
}

long truth_option(int argc, char **argv, const char *name, long missing)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return strtol(argv[i + 1], NULL, 10);
	return missing;
}

void truth_ready(void)
{
	printf("ready pid=%d\n", (int)getpid());
	fflush(stdout);
	if (truth.hold) {
		sigset_t go;
		int sig = 0;

		end_of_hold(&go);
		sigwait(&go, &sig);
		ended = sig != SIGUSR1;
		pthread_sigmask(SIG_UNBLOCK, &go, NULL);
	}
	truth.wall_start_ns = read_clock(CLOCK_MONOTONIC);
	truth.cpu_start_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	getrusage(RUSAGE_SELF, &truth.usage_start);
}

bool truth_more(void)
{
	if (ended)
		return false;
	if (truth.cpu_seconds > 0 && (double)(read_clock(CLOCK_PROCESS_CPUTIME_ID) -
					      truth.cpu_start_ns) >= truth.cpu_seconds * 1e9)
		return false;
	return (double)(read_clock(CLOCK_MONOTONIC) - truth.wall_start_ns) < truth.seconds * 1e9;
}

/* xorshift64*: the same phases in every run. */
static uint64_t next_random(struct truth_plan *plan)
{
	uint64_t x = plan->random ? plan->random : 88172645463325252ull;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	plan->random = x;
	return (x * 2685821657736338717ull) >> 16;
}

void truth_calibrate(struct truth_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct truth_work *work = &plan->works[i];

		for (work->chunk = 64; work->chunk < UINT64_C(1) << 40; work->chunk *= 2) {
			uint64_t start_ns = truth_cpu_ns();

			work->run(work->chunk);
			if (truth_cpu_ns() - start_ns >= CHUNK_NS)
				break;
		}
	}
}

static TRUTH_NOINLINE void run_phase(struct truth_work *work, uint64_t length_ns)
{
	uint64_t start_ns = truth_cpu_ns();
	uint64_t now_ns = start_ns;

	while (now_ns - start_ns < length_ns) {
		work->run(work->chunk);
		now_ns = truth_cpu_ns();
	}
	work->cpu_ns += now_ns - start_ns;
}

/* Cut what each work is owed by the end of this block into phases, in random order. */
static size_t make_phases(struct truth_plan *plan, struct phase *phases)
{
	uint64_t weights = 0;
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		weights += plan->works[i].weight;
	for (size_t i = 0; i < plan->n; i++) {
		struct truth_work *work = &plan->works[i];
		uint64_t left_ns;

		work->owed_ns += plan->block_ns * work->weight / weights;
		left_ns = work->owed_ns > work->cpu_ns ? work->owed_ns - work->cpu_ns : 0;
		while (left_ns && n < MAX_PHASES) {
			uint64_t length_ns = PHASE_MIN_NS + next_random(plan) % PHASE_SPAN_NS;

			if (length_ns > left_ns)
				length_ns = left_ns;
			phases[n++] = (struct phase){.work = i, .length_ns = length_ns};
			left_ns -= length_ns;
		}
	}
	for (size_t i = n; i > 1; i--) {
		size_t j = next_random(plan) % i;
		struct phase swap = phases[i - 1];

		phases[i - 1] = phases[j];
		phases[j] = swap;
	}
	return n;
}

TRUTH_NOINLINE void truth_block(struct truth_plan *plan)
{
	struct phase phases[MAX_PHASES];
	size_t n = make_phases(plan, phases);

	for (size_t i = 0; i < n; i++)
		run_phase(&plan->works[phases[i].work], phases[i].length_ns);
}

static struct truth_work *find_work(const char *function, const char *mark)
{
	for (size_t i = 0; i < truth.n_works; i++) {
		struct truth_work *work = &truth.works[i];

		if (!strcmp(work->function, function) &&
		    !strcmp(work->mark ? work->mark : "", mark ? mark : ""))
			return work;
	}
	return NULL;
}

void truth_works(const struct truth_work *works, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct truth_work *same = find_work(works[i].function, works[i].mark);

		if (same)
			same->cpu_ns += works[i].cpu_ns;
		else if (truth.n_works < MAX_ROWS)
			truth.works[truth.n_works++] = works[i];
	}
}

static void add_row(struct row *rows, size_t *n, const char *name, int tid, uint64_t cpu_ns)
{
	if (*n < MAX_ROWS)
		rows[(*n)++] = (struct row){.name = name, .tid = tid, .cpu_ns = cpu_ns};
}

void truth_thread(const char *name, int tid, uint64_t cpu_ns)
{
	add_row(truth.threads, &truth.n_threads, name, tid, cpu_ns);
}

void truth_process(const char *name, uint64_t cpu_ns)
{
	add_row(truth.processes, &truth.n_processes, name, 0, cpu_ns);
}

void truth_fact(const char *key, long value)
{
	add_row(truth.facts, &truth.n_facts, key, 0, (uint64_t)value);
}

static void add_mark(unsigned line, const char *name, const char *file)
{
	struct mark *mark;

	for (size_t i = 0; i < truth.n_marks; i++)
		if (truth.marks[i].line == line && !strcmp(truth.marks[i].name, name) &&
		    !strcmp(truth.marks[i].file, file))
			return;
	if (truth.n_marks == MAX_MARKS)
		return;
	mark = &truth.marks[truth.n_marks++];
	mark->line = line;
	snprintf(mark->name, sizeof(mark->name), "%s", name);
	snprintf(mark->file, sizeof(mark->file), "%s", file);
}

void truth_lines(const char *begin, const char *end)
{
	while (begin && begin < end) {
		const char *name = begin + sizeof(uint32_t);
		const char *file = name + strlen(name) + 1;
		uint32_t line;

		memcpy(&line, begin, sizeof(line));
		add_mark(line, name, file);
		begin = file + strlen(file) + 1;
	}
}

/* Made by the linker around the section of that name; absent when nothing is marked. */
extern const char __start_truth_marks[] __attribute__((weak, visibility("hidden")));
extern const char __stop_truth_marks[] __attribute__((weak, visibility("hidden")));

static uint64_t sum_works(const char *function)
{
	uint64_t sum_ns = 0;

	for (size_t i = 0; i < truth.n_works; i++)
		if (!function || !strcmp(truth.works[i].function, function))
			sum_ns += truth.works[i].cpu_ns;
	return sum_ns;
}

static const struct mark *find_mark(const char *name)
{
	for (size_t i = 0; name && i < truth.n_marks; i++)
		if (!strcmp(truth.marks[i].name, name))
			return &truth.marks[i];
	return NULL;
}

static void print_lines(const char *function, uint64_t all_ns)
{
	const char *comma = "";

	for (size_t i = 0; i < truth.n_works; i++) {
		const struct truth_work *work = &truth.works[i];
		const struct mark *mark = find_mark(work->mark);

		if (strcmp(work->function, function) || !mark)
			continue;
		printf("%s{\"line\":%u,\"share\":%.6f}", comma, mark->line,
		       (double)work->cpu_ns / (double)all_ns);
		comma = ",";
	}
}

static void print_functions(void)
{
	uint64_t all_ns = sum_works(NULL);
	const char *comma = "";

	if (!all_ns)
		all_ns = 1;
	for (size_t i = 0; i < truth.n_works; i++) {
		const char *name = truth.works[i].function;
		const struct mark *mark = find_mark(truth.works[i].mark);
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= !strcmp(truth.works[j].function, name);
		if (seen)
			continue;
		printf("%s{\"name\":\"%s\",\"file\":\"%s\",\"share\":%.6f,\"cpu_ns\":%llu,"
		       "\"lines\":[",
		       comma, name, mark ? mark->file : "",
		       (double)sum_works(name) / (double)all_ns,
		       (unsigned long long)sum_works(name));
		print_lines(name, all_ns);
		printf("]}");
		comma = ",";
	}
}

static void print_rows(const char *key, const struct row *rows, size_t n)
{
	uint64_t all_ns = 0;

	for (size_t i = 0; i < n; i++)
		all_ns += rows[i].cpu_ns;
	printf(",\"%s\":[", key);
	for (size_t i = 0; i < n; i++)
		printf("%s{\"name\":\"%s\",\"tid\":%d,\"share\":%.6f,\"cpu_ns\":%llu}",
		       i ? "," : "", rows[i].name, rows[i].tid,
		       (double)rows[i].cpu_ns / (double)(all_ns ? all_ns : 1),
		       (unsigned long long)rows[i].cpu_ns);
	printf("]");
}

static unsigned long long usage_ns(const struct timeval *now, const struct timeval *start)
{
	return (unsigned long long)(now->tv_sec - start->tv_sec) * 1000000000ull +
	       (unsigned long long)((now->tv_usec - start->tv_usec) * 1000);
}

int truth_end(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	truth_lines(__start_truth_marks, __stop_truth_marks);
	printf("{\"sample\":\"%s\",\"pid\":%d,\"cpu_ns\":%llu,\"user_ns\":%llu,\"system_ns\":%llu",
	       truth.sample, (int)getpid(), (unsigned long long)sum_works(NULL),
	       usage_ns(&usage.ru_utime, &truth.usage_start.ru_utime),
	       usage_ns(&usage.ru_stime, &truth.usage_start.ru_stime));
	printf(",\"functions\":[");
	print_functions();
	printf("]");
	print_rows("threads", truth.threads, truth.n_threads);
	print_rows("processes", truth.processes, truth.n_processes);
	for (size_t i = 0; i < truth.n_facts; i++)
		printf(",\"%s\":%lld", truth.facts[i].name, (long long)truth.facts[i].cpu_ns);
	printf("}\n");
	return fflush(stdout) ? 1 : 0;
}
