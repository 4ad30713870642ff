/*
 * threads: four named threads that run the same function with loads of 50/30/15/5 per round, and
 * a barrier at the end of each round, so that the split holds on a busy machine too. The last
 * one, "late-comer", is created --late-rounds rounds after the others (0 = with them).
 */
#include "common/truth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 4, ROUND_NS = 200000000 };

struct worker {
	pthread_t thread;
	char name[16];
	unsigned weight;
	int tid;
	struct truth_work work;
	struct truth_plan plan;
};

static struct worker workers[WORKERS];
static pthread_barrier_t early_round, full_round;
static long late_rounds;
static atomic_bool stop; /* set by the first worker before a barrier, read by all after it */

static TRUTH_NOINLINE void burn_thread(uint64_t n)
{
	uint64_t x = n;

	for (uint64_t i = 0; i < n; i++)
		HOT("burn_thread", TRUTH_MIX(x));
	truth_sink = x;
}

static void *run_worker(void *argument)
{
	struct worker *self = argument;
	struct worker *late = &workers[WORKERS - 1];
	bool leads = self == workers;

	self->tid = (int)gettid();
	pthread_setname_np(pthread_self(), self->name);
	for (long round = self == late ? late_rounds : 0; !stop; round++) {
		if (leads && round == late_rounds &&
		    pthread_create(&late->thread, NULL, run_worker, late))
			abort();
		truth_block(&self->plan);
		if (leads && round >= late_rounds && !truth_more())
			stop = true;
		pthread_barrier_wait(round < late_rounds ? &early_round : &full_round);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const unsigned weights[WORKERS] = {50, 30, 15, 5};

	truth_start(argc, argv);
	late_rounds = truth_option(argc, argv, "--late-rounds", 0);
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *worker = &workers[i];

		snprintf(worker->name, sizeof(worker->name), "worker-%zu", i);
		worker->weight = weights[i];
		worker->work = (struct truth_work){.function = "burn_thread",
						   .mark = "burn_thread",
						   .run = burn_thread,
						   .weight = 1};
		worker->plan = (struct truth_plan){.works = &worker->work,
						   .n = 1,
						   .block_ns = ROUND_NS / 100 * weights[i],
						   .random = 1234567 + i};
		truth_calibrate(&worker->plan);
	}
	memcpy(workers[WORKERS - 1].name, "late-comer", sizeof("late-comer"));
	pthread_barrier_init(&early_round, NULL, WORKERS - 1);
	pthread_barrier_init(&full_round, NULL, WORKERS);
	truth_ready();
	for (size_t i = 0; i + 1 < WORKERS; i++)
		if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]))
			return 1;
	for (size_t i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		truth_works(&workers[i].work, 1);
		truth_thread(workers[i].name, workers[i].tid, workers[i].work.cpu_ns);
	}
	return truth_end();
}
