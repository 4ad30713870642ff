/*
 * heap_program.h - can a program be recorded by LD_PRELOAD, and if not, why?
 *
 * Answers from the file alone, before or after a run: what it is linked with, who may preload into
 * it, and whether it brings its own malloc.
 *
 * Depends on: base, libelf. Threads: any.
 */
#ifndef CPROF_HEAP_HEAP_PROGRAM_H
#define CPROF_HEAP_HEAP_PROGRAM_H

#include <limits.h>
#include <stddef.h>

enum heap_program_state {
	HEAP_PROGRAM_FINE,
	HEAP_PROGRAM_UNKNOWN,    /* not found, not readable */
	HEAP_PROGRAM_FOREIGN,    /* no ELF file of this machine and word size */
	HEAP_PROGRAM_STATIC,     /* no dynamic loader that would preload */
	HEAP_PROGRAM_OTHER_LIBC, /* its loader is not glibc's */
	HEAP_PROGRAM_PRIVILEGED, /* set-user-ID, set-group-ID or file capabilities */
	HEAP_PROGRAM_SANITIZED,  /* a sanitizer's own heap */
	HEAP_PROGRAM_OWN_MALLOC, /* malloc is linked into it: the shim is passed by */
	HEAP_PROGRAM_STATES
};

struct heap_program {
	enum heap_program_state state;
	char path[PATH_MAX];   /* of the binary: a script's interpreter */
	char detail[PATH_MAX]; /* the loader, the symbol, ...: "" = nothing */
};

/** Look a command up as execvp() does, follow "#!", and judge the binary. */
void heap_program_check(const char *command, struct heap_program *out);

/** A sentence: why it cannot be recorded, and what to do. @buf: of @size bytes; "" when it is fine.
 */
const char *heap_program_reason(const struct heap_program *program, char *buf, size_t size);

#endif
