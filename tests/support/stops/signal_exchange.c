/*
 * signal_exchange.c - receives queued real-time signals while it works, and is stopped and
 * continued now and then; prints how many came, whether each came once and in order, and whether
 * every stop held for as long as it should.
 *
 *     signal_exchange [--signals N]
 *
 * A child sends them, as many as the queue takes at a time. It also sends SIGSTOP and SIGCONT, and
 * looks in /proc whether this process stands still, with no work done, until it is continued.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STOP_EVERY = 1000 };

struct shared {
	_Atomic uint64_t work, received, out_of_order;
	_Atomic uint64_t stops, broken_stops;
};

static struct shared *shared;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	shared->out_of_order += (uint64_t)info->si_value.sival_int != shared->received;
	shared->received++;
}

static char state_of(pid_t pid)
{
	char path[64], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		exit(3);
	fclose(file);
	return state;
}

static void sleep_ms(long ms)
{
	const struct timespec time = {.tv_nsec = ms * 1000000};
	nanosleep(&time, NULL);
}

/* Stop the receiver for 5 ms. */
static void stop_and_continue(pid_t pid)
{
	kill(pid, SIGSTOP);
	while (state_of(pid) != 'T')
		sleep_ms(1);
	const uint64_t before = shared->work;
	for (int i = 0; i < 5; i++) {
		sleep_ms(1);
		shared->broken_stops += state_of(pid) != 'T' || shared->work != before;
	}
	shared->stops++;
	kill(pid, SIGCONT);
	while (shared->work == before)
		sleep_ms(1);
}

static void send_all(pid_t pid, long n)
{
	for (long i = 0; i < n; i++) {
		while (sigqueue(pid, SIGRTMIN, (union sigval){.sival_int = (int)i}) < 0) {
			if (errno != EAGAIN)
				exit(4);
			sleep_ms(1);
		}
		if (i % STOP_EVERY == 0)
			stop_and_continue(pid);
	}
}

int main(int argc, char **argv)
{
	const long n = argc == 3 && strcmp(argv[1], "--signals") == 0 ? atol(argv[2]) : 100000;
	const struct sigaction action = {.sa_sigaction = on_signal,
					 .sa_flags = SA_SIGINFO | SA_RESTART};
	const pid_t pid = getpid();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	sigaction(SIGRTMIN, &action, NULL);
	printf("ready pid=%d\n", pid);
	fflush(stdout);
	const pid_t sender = fork();
	if (sender == 0) {
		send_all(pid, n);
		_exit(0);
	}
	while (shared->received < (uint64_t)n)
		shared->work++;
	int status;
	while (waitpid(sender, &status, 0) < 0)
		;
	printf("{\"sample\":\"signal_exchange\",\"pid\":%d,\"sent\":%ld,\"received\":%llu,"
	       "\"out_of_order\":%llu,\"stops\":%llu,\"broken_stops\":%llu,\"sender\":%d}\n",
	       pid, n, (unsigned long long)shared->received,
	       (unsigned long long)shared->out_of_order, (unsigned long long)shared->stops,
	       (unsigned long long)shared->broken_stops, status);
	return 0;
}
