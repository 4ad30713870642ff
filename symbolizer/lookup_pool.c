#include "lookup_pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_THREADS = 8, TICK_MS = 100 };

/* Demanglers recurse; the default may be as little as the limit of the main thread says. */
enum { STACK_BYTES = 8 * 1024 * 1024 };

struct pool {
	struct lookup_job *jobs;
	size_t n;
	const struct lookup_pool_options *options;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop; /* begin nothing more */
};

static unsigned int n_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned int)n;
}

static bool wants_help(const struct lookup_job *job)
{
	return job->state == LOOKUP_JOB_RUNS && lookup_left(job->lookup) >= LOOKUP_HELP_MIN;
}

/*
 * Something to do, or NULL: nothing for good. Earlier jobs come first, also to help with: they are
 * what is waited for. Called with the lock held.
 */
static struct lookup_job *pick(struct pool *pool, bool *help)
{
	for (;;) {
		bool begins = false;
		for (size_t i = 0; i < pool->n && !pool->stop; i++) {
			struct lookup_job *job = &pool->jobs[i];
			*help = wants_help(job);
			if (*help || job->state == LOOKUP_JOB_WAITS)
				return job;
			begins |= job->state == LOOKUP_JOB_BEGINS;
		}
		if (!begins)
			return NULL;
		pthread_cond_wait(&pool->changed, &pool->lock);
	}
}

static void set_state(struct pool *pool, struct lookup_job *job, enum lookup_job_state state)
{
	pthread_mutex_lock(&pool->lock);
	job->state = state;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
}

/* The last one out ends the job. Called with the lock held. */
static void leave(struct pool *pool, struct lookup_job *job, int rc)
{
	if (rc < 0 && job->rc == 0)
		job->rc = rc;
	if (--job->n_workers > 0)
		return;
	job->state = LOOKUP_JOB_BEGINS; /* neither help nor beginning: it ends */
	pthread_mutex_unlock(&pool->lock);
	if (job->lookup)
		lookup_end(job->lookup);
	set_state(pool, job, LOOKUP_JOB_DONE);
	pthread_mutex_lock(&pool->lock);
}

static int run_job(struct pool *pool, struct lookup_job *job)
{
	const struct symbolizer_options *symbols = pool->options->symbols;
	if (lookup_must_stop(symbols))
		return -ECANCELED;
	int rc = lookup_create(&job->request, symbols, &job->lookup);
	if (rc == 0)
		rc = lookup_begin(job->lookup, job->svmas, job->n, &job->reason);
	if (rc < 0)
		return rc;
	set_state(pool, job, LOOKUP_JOB_RUNS);
	return lookup_work(job->lookup);
}

static void *run_worker(void *argument)
{
	struct pool *pool = argument;
	struct lookup_job *job;
	bool help;
	pthread_mutex_lock(&pool->lock);
	while ((job = pick(pool, &help)) != NULL) {
		job->n_workers++;
		if (!help)
			job->state = LOOKUP_JOB_BEGINS;
		pthread_mutex_unlock(&pool->lock);
		int rc = help ? lookup_help(job->lookup) : run_job(pool, job);
		pthread_mutex_lock(&pool->lock);
		leave(pool, job, rc);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static struct timespec tick_from_now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += TICK_MS * 1000000L;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

static void wait_for(struct pool *pool, struct lookup_job *job)
{
	const struct lookup_pool_options *options = pool->options;
	pthread_mutex_lock(&pool->lock);
	while (job->state != LOOKUP_JOB_DONE) {
		struct timespec at = tick_from_now();
		if (pthread_cond_timedwait(&pool->changed, &pool->lock, &at) == ETIMEDOUT &&
		    options->tick) {
			size_t left =
				job->state == LOOKUP_JOB_RUNS ? lookup_left(job->lookup) : job->n;
			pthread_mutex_unlock(&pool->lock);
			options->tick(options->ctx, job, left);
			pthread_mutex_lock(&pool->lock);
		}
	}
	pthread_mutex_unlock(&pool->lock);
}

static int tell_all(struct pool *pool)
{
	int rc = 0;
	for (size_t i = 0; i < pool->n && rc == 0; i++) {
		struct lookup_job *job = &pool->jobs[i];
		wait_for(pool, job);
		rc = job->rc == -ENOMEM ? -ENOMEM : pool->options->done(pool->options->ctx, job);
		lookup_destroy(job->lookup);
		job->lookup = NULL;
	}
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->changed);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* As many as can be of use. */
static unsigned int threads_for(const struct pool *pool)
{
	unsigned int wanted = pool->options->n_threads ? pool->options->n_threads : n_processors();
	size_t useful = pool->n;
	for (size_t i = 0; i < pool->n; i++)
		useful += pool->jobs[i].n / LOOKUP_HELP_MIN;
	return wanted < useful ? wanted : (unsigned int)useful;
}

/* Signals are for the caller's thread: only it looks at what their handlers set. */
static unsigned int start_threads(pthread_t threads[MAX_THREADS], unsigned int wanted,
				  void *(*run)(void *), void *argument)
{
	unsigned int n = 0;
	sigset_t all, before;
	pthread_attr_t attributes;
	sigfillset(&all);
	sigdelset(&all, SIGBUS); /* files that are truncated */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	while (n < wanted && n < MAX_THREADS &&
	       pthread_create(&threads[n], &attributes, run, argument) == 0)
		n++;
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return n;
}

static void *run_helper(void *argument)
{
	return (void *)(intptr_t)lookup_help(argument);
}

int lookup_work_together(struct lookup *lookup, const uint64_t *svmas, size_t n_svmas,
			 struct cp_err *err)
{
	pthread_t threads[MAX_THREADS];
	int rc = lookup_prepare(lookup, svmas, n_svmas, err);
	if (rc < 0)
		return rc;
	size_t others = lookup_left(lookup) / LOOKUP_HELP_MIN, idle = n_processors() - 1;
	unsigned int n = start_threads(threads, (unsigned int)(others < idle ? others : idle),
				       run_helper, lookup);
	rc = lookup_open(lookup, err);
	int work_rc = rc == 0 ? lookup_work(lookup) : 0;
	for (unsigned int i = 0; i < n; i++) {
		void *result;
		pthread_join(threads[i], &result);
		if (work_rc == 0)
			work_rc = (int)(intptr_t)result;
	}
	return work_rc < 0 ? cp_fail_nomem(err) : rc;
}

int lookup_pool_run(struct lookup_job *jobs, size_t n, const struct lookup_pool_options *options)
{
	struct pool pool = {.jobs = jobs, .n = n, .options = options};
	pthread_t threads[MAX_THREADS];
	pthread_condattr_t clock;
	pthread_mutex_init(&pool.lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.changed, &clock);
	pthread_condattr_destroy(&clock);
	unsigned int n_threads = start_threads(threads, threads_for(&pool), run_worker, &pool);
	if (n_threads == 0)
		run_worker(&pool); /* all of it, before anything is told */
	int rc = tell_all(&pool);
	for (unsigned int i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < n; i++)
		lookup_destroy(jobs[i].lookup);
	pthread_cond_destroy(&pool.changed);
	pthread_mutex_destroy(&pool.lock);
	return rc;
}
