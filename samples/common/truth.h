/*
 * truth.h - what a sample program knows about its own CPU time.
 *
 * A sample divides its work into *works*: a function (or a marked line of one) with a designed
 * share. truth_block() runs them in phases of random length, shuffled, so that every block of
 * about 150 ms of CPU time has the designed split whatever window of the run is recorded, and no
 * phase is in step with a sampling clock. What each really used is read from the thread's CPU
 * clock and printed as one line of JSON at the end.
 *
 * Depends on: nothing. Threads: a plan belongs to one thread; the rest to the main thread.
 */
#ifndef SAMPLES_TRUTH_H
#define SAMPLES_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRUTH_TEXT_(x) #x
#define TRUTH_TEXT(x) TRUTH_TEXT_(x)

/*
 * Does @work and marks the line it stands on as hot, under a name. The mark makes no code: a
 * record (u32 line, name, file) goes to the section truth_marks, also from templates and inlined
 * copies.
 */
#define HOT(mark, work)                                                                            \
	do {                                                                                       \
		__asm__ volatile(".pushsection truth_marks,\"a\"\n\t.long " TRUTH_TEXT(            \
			__LINE__) "\n\t.asciz \"" mark "\"\n\t.asciz \"" __FILE__                  \
				  "\"\n\t.popsection");                                            \
		work;                                                                              \
	} while (0)

/*
 * A dependent chain of 8 steps, about 40 cycles, all on the line where it is used: the loop
 * around it is noise.
 */
#define TRUTH_STEP(x) ((x) = ((x) ^ ((x) >> 7)) * 0x9e3779b97f4a7c15ull)
#define TRUTH_MIX(x)                                                                               \
	(TRUTH_STEP(x), TRUTH_STEP(x), TRUTH_STEP(x), TRUTH_STEP(x), TRUTH_STEP(x), TRUTH_STEP(x), \
	 TRUTH_STEP(x), TRUTH_STEP(x))

/* A hot function must neither be inlined, cloned nor call its callee in tail position. */
#ifdef __clang__
#define TRUTH_NOINLINE __attribute__((noinline))
#else
#define TRUTH_NOINLINE __attribute__((noinline, noclone))
#endif
#define TRUTH_INLINE __attribute__((always_inline)) inline
#define TRUTH_NO_TAIL_CALL() __asm__ volatile("")

/* Results go here so that no work is optimised away. */
extern volatile uint64_t truth_sink;

struct truth_work {
	const char *function; /* as a profile names it */
	const char *mark;     /* of its HOT() line; NULL = none */
	void (*run)(uint64_t n);
	unsigned weight;  /* of the block, relative to the other works */
	uint64_t chunk;   /* n that takes 500 us or more; truth_calibrate() finds it */
	uint64_t owed_ns; /* by design up to the current block */
	uint64_t cpu_ns;  /* used, by the thread's CPU clock */
};

struct truth_plan {
	struct truth_work *works;
	size_t n;
	uint64_t block_ns; /* CPU time of a block */
	uint64_t random;   /* state; 0 = the fixed seed */
};

/**
 * Read the options every sample has: --seconds S (wall clock, default 60), --cpu-seconds S (of
 * the process), --hold (after the ready line wait for SIGUSR1, so that a recorder can be attached
 * before any work is done). SIGINT and SIGTERM end the work normally.
 */
void truth_start(int argc, char **argv);

/** The value of a sample's own option "--name VALUE", or @missing. */
long truth_option(int argc, char **argv, const char *name, long missing);

/** Find the chunk sizes of a plan; before truth_ready(), so that it is not recorded. */
void truth_calibrate(struct truth_plan *plan);

/** Print the ready line, wait if --hold was given, and start the clocks. */
void truth_ready(void);

/** False when the time is over or a signal asked for the end. */
bool truth_more(void);

/** Run one block of a plan on the calling thread. */
void truth_block(struct truth_plan *plan);

/** CPU time of the calling thread. */
uint64_t truth_cpu_ns(void);

/** Rows of the truth; names must live until truth_end(). Works with the same function and mark
 * merge. */
void truth_works(const struct truth_work *works, size_t n);
void truth_thread(const char *name, int tid, uint64_t cpu_ns);
void truth_process(const char *name, uint64_t cpu_ns);
void truth_fact(const char *key, long value);

/** Take the HOT() records of another object (a plugin), copied. */
void truth_lines(const char *begin, const char *end);

/** Print the truth. Return: the exit status. */
int truth_end(void);

#ifdef __cplusplus
}
#endif
#endif
