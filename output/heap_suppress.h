/*
 * heap_suppress.h - allocations that nobody wants to hear of: rules in LeakSanitizer's grammar, and
 * what every program holds when it ends.
 *
 * A file has a rule per line: "leak:PATTERN"; "#" starts a comment. A stack with a frame whose
 * function, source file or binary the pattern matches is taken out, and counted. The pattern is
 * searched for anywhere in the name; "*" stands for any text, "^" and "$" for its beginning and
 * end.
 *
 * The built-in rules are narrower: they look only at the library code between the allocation and
 * the program's own.
 *
 * Depends on: base, profile, frames.h. Threads: one.
 */
#ifndef CPROF_OUTPUT_HEAP_SUPPRESS_H
#define CPROF_OUTPUT_HEAP_SUPPRESS_H

#include "base/err.h"
#include "frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_rule {
	char *pattern; /* as given; of a built-in rule what it is about */
	bool builtin;
	double blocks, bytes; /* that it took out: the caller's counters */
};

struct heap_suppressions {
	struct heap_rule *rules;
	size_t n, cap;
	/* by frame: which of the file's rules matches first; filled in when asked for */
	uint32_t *by_frame;
	const struct frames *frames;
};

enum { HEAP_RULE_NONE = UINT32_MAX };

/** Start with the built-in rules. Return: 0 or -ENOMEM. */
int heap_suppressions_init(struct heap_suppressions *rules);
void heap_suppressions_deinit(struct heap_suppressions *rules);

/**
 * Add the rules of a file.
 *
 * @text: NUL-terminated
 * @name: for messages
 * Return: 0; -EINVAL with a message: a line is no rule; -ENOMEM.
 */
int heap_suppressions_parse(struct heap_suppressions *rules, const char *text, const char *name,
			    struct cp_err *err);

/** True when a pattern of LeakSanitizer's matches. */
bool heap_pattern_matches(const char *pattern, const char *text);

/** Say whose frames are asked about; @frames must outlive the rules. Return: 0 or -ENOMEM. */
int heap_suppressions_bind(struct heap_suppressions *rules, const struct frames *frames);

/**
 * The rule that takes a stack out.
 *
 * @stack:    innermost first
 * @complete: it reaches its root
 * Return: its index or HEAP_RULE_NONE.
 */
uint32_t heap_suppressions_find(struct heap_suppressions *rules, const frame_id *stack, size_t n,
				bool complete);

#endif
