/*
 * signal_heavy: a timer interrupts burn_main every 7 ms of CPU time at whatever instruction it is;
 * the handler works in burn_handler for 2 ms. What lies below a signal frame must still be walked
 * to main. With --altstack 1 the handler runs on a stack of its own.
 *
 * On the wall clock, a busy machine would leave no time between two handlers: each would interrupt
 * what the first one has. The kernel looks at such timers in its ticks only, so the split is
 * measured, not designed.
 */
#include "common/truth.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { HANDLER_NS = 2000000, HANDLER_CHUNK = 4096, STACK_BYTES = 65536 };

static volatile uint64_t handler_ns;

static TRUTH_NOINLINE void burn_main(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_main", TRUTH_MIX(x));
	truth_sink = x;
}

static TRUTH_NOINLINE void burn_handler(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_handler", TRUTH_MIX(x));
	truth_sink = x;
}

static void on_alarm(int sig)
{
	uint64_t start_ns = truth_cpu_ns();
	uint64_t now_ns = start_ns;

	(void)sig;
	while (now_ns - start_ns < HANDLER_NS) {
		burn_handler(HANDLER_CHUNK);
		now_ns = truth_cpu_ns();
	}
	handler_ns = handler_ns + (now_ns - start_ns);
}

static timer_t timer;

static void start_timer(bool altstack)
{
	static char stack[STACK_BYTES];
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct itimerspec interval = {.it_interval.tv_nsec = 7000000, .it_value.tv_nsec = 7000000};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	if (altstack) {
		sigaltstack(&alternate, NULL);
		action.sa_flags |= SA_ONSTACK;
	}
	sigaction(SIGALRM, &action, NULL);
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) ||
	    timer_settime(timer, 0, &interval, NULL))
		abort();
}

int main(int argc, char **argv)
{
	struct truth_work works[] = {
		{.function = "burn_main", .mark = "burn_main", .run = burn_main, .weight = 1},
		{.function = "burn_handler", .mark = "burn_handler", .run = burn_handler},
	};
	struct truth_plan plan = {.works = works, .n = 1, .block_ns = 150000000};

	truth_start(argc, argv);
	truth_calibrate(&plan);
	truth_ready();
	start_timer(truth_option(argc, argv, "--altstack", 0));
	while (truth_more())
		truth_block(&plan);
	timer_delete(timer);
	works[1].cpu_ns = handler_ns;
	works[0].cpu_ns -= handler_ns;
	truth_works(works, 2);
	return truth_end();
}
