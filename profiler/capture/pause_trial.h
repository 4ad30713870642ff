/*
 * pause_trial.h - how long would a stop for a sample be, here and now? Tried on a child of ours.
 *
 * Depends on: overhead.h (pauses), thread_stop.h. Threads: call it from a process with one thread.
 */
#ifndef CPROF_CAPTURE_PAUSE_TRIAL_H
#define CPROF_CAPTURE_PAUSE_TRIAL_H

#include "overhead.h"

/**
 * Stop a child that does nothing but run, some hundred times.
 *
 * Return: 0; -errno when it cannot be started or stopped.
 * Context: takes about 0.1 s of two CPUs.
 */
int pause_trial_run(struct pauses *out);

#endif
