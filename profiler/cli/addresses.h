/*
 * addresses.h - addresses of one file to functions and lines, in the format of addr2line.
 *
 * For scripts and programs that run addr2line: the same questions, the same lines. Addresses from
 * standard input are answered as they come, so that a program may ask through a pair of pipes.
 *
 * Depends on: symbolizer, load.h. Threads: the main one.
 */
#ifndef CPROF_CLI_ADDRESSES_H
#define CPROF_CLI_ADDRESSES_H

#include "load.h"

/* What a line of the answer has: addr2line's options of the same letters. */
struct addresses_format {
	bool address;   /* -a */
	bool functions; /* -f */
	bool inlines;   /* -i */
	bool pretty;    /* -p */
	bool basenames; /* -s */
	bool demangle;  /* -C */
};

struct addresses_request {
	const char *path; /* of the file */
	const struct load_symbols *symbols;
	struct addresses_format format;
	char *const *operands; /* addresses; none = standard input */
	int n_operands;
};

/** The first operand that is no address; NULL = all are. */
const char *addresses_wrong_operand(char *const *operands, int n);

/** Answer on standard output. Return: the exit status. */
int addresses_run(const struct addresses_request *request);

#endif
