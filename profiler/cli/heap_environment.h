/*
 * heap_environment.h - the settings of libcprof_heap.so in the environment, before a command runs
 * with them: the library itself cannot complain.
 *
 * Depends on: base, heap_settings.h. Threads: the main one.
 */
#ifndef CPROF_CLI_HEAP_ENVIRONMENT_H
#define CPROF_CLI_HEAP_ENVIRONMENT_H

#include "base/err.h"

/** Look at those that are not set by `heap run` itself. Return: 0; -EINVAL with a message. */
int heap_environment_check(struct cp_err *err);

#endif
