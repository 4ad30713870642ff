/*
 * exec_call.h - is a thread inside execve, where the old program is gone already?
 *
 * Before the kernel says (by a COMM record) that a process has executed another program, it takes
 * the old one's memory away, which may take a millisecond. A sample of that time has the registers
 * of the call, and no stack: there is none.
 *
 * Depends on: unwind. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_EXEC_CALL_H
#define CPROF_CAPTURE_EXEC_CALL_H

#include "unwind/address_space.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * True when the code in front of @pc is "mov $number, %eax; syscall" with the number of execve or
 * execveat, as the C libraries have it.
 *
 * Context: reads the binary when its code is first asked for.
 */
bool exec_call_is_at(struct address_space *space, uint64_t pc);

#endif
