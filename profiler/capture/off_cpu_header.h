/*
 * off_cpu_header.h - what was measured and lost of time off the CPU, for the recording's header.
 *
 * Depends on: base, profile, off_cpu.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_OFF_CPU_HEADER_H
#define CPROF_CAPTURE_OFF_CPU_HEADER_H

#include "off_cpu.h"
#include "profile/profile.h"

/** Return: 0 or -ENOMEM. */
int off_cpu_header_set(struct profile *profile, const struct off_cpu *off);

#endif
