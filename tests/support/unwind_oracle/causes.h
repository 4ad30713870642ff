/*
 * causes.h - why two walks of the same bytes found different frames, by name.
 *
 * A cause is a predicate over the sample, the answers and what the binaries say about the last
 * frame they agree on; none holds for everything. The truth is told, where it can be, without
 * unwind information: a return address follows a call instruction.
 *
 * Depends on: three_ways.h, rows. Threads: one at a time.
 */
#ifndef CPROF_TESTS_UNWIND_ORACLE_CAUSES_H
#define CPROF_TESTS_UNWIND_ORACLE_CAUSES_H

#include "rows/cfi_rows.h"
#include "three_ways.h"

/* rows and libdw on one sample. */
struct difference {
	const struct three_ways *ways;
	const struct capture_sample *sample;
	const struct three_answers *answers;
	size_t common; /* frames, from the leaf */
	uint64_t at;   /* the last frame they agree on: a look-up address */
	cfi_rule rule; /* what the compiled rows say there */
	bool libdw_has_cfi;
};

struct cause {
	const char *name;
	bool (*holds)(const struct difference *difference);
};

/** All causes, ended by one without a name. */
extern const struct cause causes[];

void difference_init(const struct three_ways *ways, const struct capture_sample *sample,
		     const struct three_answers *answers, struct difference *out);

/** The index in causes[] of the first one that holds; that of the end when it is unexplained. */
size_t cause_of(const struct difference *difference);

enum verdict {
	VERDICT_OPEN, /* the calls do not tell */
	/*
	 * All of rows' own frames follow a call, and libdw's do not; or the first one calls the
	 * function that both agree on, and libdw's does not.
	 */
	VERDICT_ROWS_RIGHT,
	VERDICT_ROWS_WRONG, /* the same the other way round */
};

/** @mem_fd: of /proc/PID/mem, for the bytes of the code. */
enum verdict verdict_of(const struct difference *difference, int mem_fd);

/** Does a call instruction end right behind a return address' look-up address? */
bool follows_a_call(int mem_fd, uint64_t lookup);

#endif
