/*
 * jit_code.h - names of the generated code of one process: its jitdump, then its perf map.
 *
 * The dump has lines, and may have begun later than the map: what it does not know the map may.
 *
 * Depends on: base, jit_files, jitdump, perf_map. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_JIT_CODE_H
#define CPROF_SYMBOLIZER_JIT_CODE_H

#include "base/err.h"
#include "jit_files.h"
#include "symbol_frame.h"

#include <stdint.h>

struct jit_code;

/** The process of a module's path, "[jit:PID]". Return: false when it is another path. */
bool jit_code_process(const char *path, pid_t *out);

/**
 * Read what a process has written about its code.
 *
 * @files: what is held of it, or NULL
 * Return: 0; -ENOENT: it wrote nothing; as perf_map_read() and jitdump_read().
 */
int jit_code_open(const struct jit_files *files, pid_t pid, struct jit_code **out,
		  struct cp_err *err);
void jit_code_close(struct jit_code *code);

/** What is at an address. @frame: strings live as long as @code. Return: false: nothing known. */
bool jit_code_find(const struct jit_code *code, uint64_t address, struct symbol_frame *frame);

#endif
