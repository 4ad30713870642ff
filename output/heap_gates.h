/*
 * heap_gates.h - yes, no, or "cannot tell": what --fail-on-unfreed and --fail-on-growth decide.
 *
 * A gate passes only where the numbers can bear it: a file with nothing in it, a table that was
 * full, a run too short to have a trend give UNKNOWN, with the reason. So does growth that is
 * neither seen nor excluded: of a run alone only steady growth can be told, while bursts, a late
 * start or a block that becomes larger look like memory in use; two copies tell.
 *
 * Depends on: base, heap_analysis.h. Threads: any.
 */
#ifndef CPROF_OUTPUT_HEAP_GATES_H
#define CPROF_OUTPUT_HEAP_GATES_H

#include "heap_analysis.h"

struct heap_gate {
	const char *name;   /* "unfreed", "growth" */
	const char *option; /* that asked for it */
	enum heap_gate_result result;
	double limit, value; /* bytes, or bytes per hour */
	double most;         /* of UNKNOWN: the value may be up to this; 0 = cannot be told */
	const char *reason;  /* of UNKNOWN; static */
};

enum { HEAP_GATES_MAX = 2 };

/** The growth that is there, bytes per second: what the gate on it compares with its limit. */
double heap_gates_growth(const struct heap_analysis *analysis);

/** Decide those that were asked for. Return: how many. */
size_t heap_gates_decide(const struct heap_analysis *analysis,
			 struct heap_gate gates[HEAP_GATES_MAX]);

/** What they say together. */
enum heap_gate_result heap_gates_together(const struct heap_gate *gates, size_t n);

/** "pass", "fail", "unknown". */
const char *heap_gate_result_name(enum heap_gate_result result);

#endif
