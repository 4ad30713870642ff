/*
 * heap_truth.h - what a sample program knows about its own heap.
 *
 * Every allocation is noted where it is made, with the function and the line that make it:
 *
 *	p = HEAP_AT(malloc(100), 100);      p = HEAP_MOVED(p, realloc(p, 200), 200);
 *	heap_free(p);                       text = HEAP_AT(strdup("abc"), 4);
 *
 * and heap_truth_end() prints what is live, what was made in all, and the largest sum of live bytes
 * that there was, each line of its own:
 *
 *	site FUNCTION FILE LINE BLOCKS BYTES CALLS CALL_BYTES
 *	peak BYTES
 *	fact NAME VALUE
 *	end
 *
 * The accounts are in static memory and are printed with write() alone: the heap holds nothing but
 * what the sample itself, or its libraries, put there. What a library allocates on the sample's
 *behalf is noted by the sample, from what that library documents.
 *
 * Depends on: nothing. Threads: any; one lock, which a forked child must not find taken.
 */
#ifndef SAMPLES_HEAP_TRUTH_H
#define SAMPLES_HEAP_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A function that is to be found in stacks must neither be inlined nor cloned. */
#ifdef __clang__
#define HEAP_NOINLINE __attribute__((noinline))
#else
#define HEAP_NOINLINE __attribute__((noinline, noclone))
#endif
#define HEAP_INLINE __attribute__((always_inline)) inline
/* Before the return of a function that must stay in the stack of what it calls last. */
#define HEAP_NO_TAIL_CALL() __asm__ volatile("")

struct heap_truth_site {
	const char *function;
	const char *file;
	int line;
	bool listed;
	uint64_t blocks, bytes, calls, call_bytes;
	struct heap_truth_site *next;
};

#define HEAP_SITE_()                                                                               \
	__extension__({                                                                            \
		static struct heap_truth_site site_ = {__func__, __FILE__, __LINE__, false, 0,     \
						       0,        0,        0,        NULL};        \
		&site_;                                                                            \
	})

/* Allocate on this line, and note it. The value is the block's. */
#define HEAP_AT(call, bytes) heap_truth_made(HEAP_SITE_(), (call), (bytes))

/* The same for a block that replaces @old: realloc() and its kin, where they succeed. */
#define HEAP_MOVED(old, call, bytes) (heap_truth_gone(old), HEAP_AT(call, bytes))

/*
 * The call on this line makes @calls blocks, of @call_bytes in all; @blocks with @bytes stay. Noted
 * before, as the call may throw.
 */
#define HEAP_NOTE(call, blocks, bytes, calls, call_bytes)                                          \
	do {                                                                                       \
		heap_truth_note(HEAP_SITE_(), (blocks), (bytes), (calls), (call_bytes));           \
		call;                                                                              \
	} while (0)

/** Note a block. Return: @block. */
void *heap_truth_made(struct heap_truth_site *site, void *block, size_t bytes);

/** Note that a block is about to be freed; one that was never noted, or NULL, is nothing. */
void heap_truth_gone(const void *block);

/** Both at once: free(@block). */
void heap_free(void *block);

/** Add numbers to a site, of blocks whose addresses the sample does not see. */
void heap_truth_note(struct heap_truth_site *site, uint64_t blocks, uint64_t bytes, uint64_t calls,
		     uint64_t call_bytes);

/** A site that another one stands for: a plugin's, whose own data goes with it. */
struct heap_truth_site *heap_truth_lasting(const char *function, const char *file, int line);

/** A number that is about the whole run; printed at once. */
void heap_truth_fact(const char *name, uint64_t value);

/** Text to standard output, without stdio. */
void heap_truth_say(const char *text);

/** Print the truth. May be called again, in a child, or before a crash. */
void heap_truth_end(void);

/** A mode of a sample, named by its first argument. */
struct heap_mode {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] = the mode's name */
};

/** Run the mode that the command line names. Return: the exit status. */
int heap_truth_main(const struct heap_mode *modes, size_t n, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
