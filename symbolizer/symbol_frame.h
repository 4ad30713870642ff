/*
 * symbol_frame.h - one step of the answer to "what is at this address".
 *
 * Depends on: nothing.
 */
#ifndef CPROF_SYMBOLIZER_SYMBOL_FRAME_H
#define CPROF_SYMBOLIZER_SYMBOL_FRAME_H

#include <stdint.h>

struct symbol_frame {
	const char *name;        /* demangled; never "" */
	const char *system_name; /* as in the file */
	const char *file;    /* source file, absolute where the compiler said so; "" = unknown */
	uint32_t line;       /* in file; 0 = unknown */
	uint32_t start_line; /* where the function is declared; 0 = unknown */
};

#endif
