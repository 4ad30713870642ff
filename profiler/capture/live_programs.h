/*
 * live_programs.h - which programs the processes of live_threads.h run, and what code they have
 * mapped: nothing tells of an exec or of a library that is loaded, so it is noticed.
 *
 * One program is told from the next by the addresses at which its code and stack begin, and by the
 * descriptor of its memory, which reads nothing any more once that is gone.
 *
 * Depends on: base, live_threads.h, processes.h, procfs.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_LIVE_PROGRAMS_H
#define CPROF_CAPTURE_LIVE_PROGRAMS_H

#include "live_threads.h"

#include <stdbool.h>
#include <stdint.h>

/** Remember the program that a process runs now. */
void live_programs_begin(struct live_threads *live, struct live_process *process);

/** Does it run another one? Then its mappings and names are read again. */
void live_programs_look(struct live_threads *live, struct live_process *process);

/**
 * True when the process has executed another program since the last look: what was taken of it
 * may be of either. Its mappings and names are read again then.
 *
 * @avma: in its stack, where it was readable just now
 */
bool live_programs_has_changed(struct live_threads *live, struct live_process *process,
			       uint64_t avma);

/** Look, once a second, whether sampled processes have other code mapped, and read it again then.
 */
void live_programs_check_code(struct live_threads *live);

#endif
