/*
 * profile.h - the data model: what was sampled, where in which binary, how often.
 *
 * A profile is a set of dense tables that refer to each other by id. A location is an address in
 * a *module*, stated in the module's own address space (svma): the same code in a thousand
 * processes is one location, so what a long recording keeps is bounded by the code that ran. The
 * addresses of calling frames lie inside the call instruction (return address - 1, subtracted
 * once, by the unwinder), so that every consumer looks an address up as it is.
 *
 * Tables only grow; "everything from id n on" is what is new since n were written. The samples
 * are the exception: they and the stacks are emptied at each flush of a recording.
 *
 * Depends on: base. Threads: the owner's.
 */
#ifndef CPROF_PROFILE_PROFILE_H
#define CPROF_PROFILE_PROFILE_H

#include "base/err.h"
#include "base/index.h"
#include "base/interner.h"
#include "base/state.h"
#include "base/stop.h"
#include "stack_store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint32_t v;
} module_id;
typedef struct {
	uint32_t v;
} function_id;
typedef struct {
	uint32_t v;
} thread_id;

enum { PROFILE_MAX_VALUES = 6 };

/* Paths that are no files. A module is of the kind its path says. */
#define PROFILE_PATH_KERNEL "[kernel.kallsyms]" /* svma = kernel address */
#define PROFILE_PATH_VDSO "[vdso]"
#define PROFILE_PATH_UNKNOWN "[unknown]"        /* code in no mapping we know; svma = avma */
#define PROFILE_PATH_OMITTED "[frames omitted]" /* between the two sides of a very deep stack */
/* In the place of stacks that were not taken, with CP_STOP_UNSEEN. */
#define PROFILE_PATH_NO_CPU "[waiting for a CPU]"
#define PROFILE_PATH_NOT_SEEN "[not looked at]"
#define PROFILE_PATH_JIT "[jit:" /* prefix of "[jit:PID]": anonymous code; svma = avma */

/* One executable segment of one binary (ELF PT_LOAD), or one of the pseudo-files above. */
struct profile_module {
	string_id path;
	string_id build_id;            /* lower-case hex, or "" */
	uint64_t svma_start, svma_end; /* [start, end) */
	uint64_t file_off;             /* of svma_start */
	/* what symbolization found for this binary; all false = not symbolized */
	bool has_functions, has_filenames, has_lines, has_inlines;
};

struct profile_function {
	string_id name;        /* demangled, for people; never "" */
	string_id system_name; /* as in the ELF file */
	string_id file;        /* source path as the compiler saw it, or "" */
	uint32_t start_line;   /* of the function, 0 = unknown */
};

/* One entry of a location's inline chain. */
struct profile_line {
	function_id function;
	uint32_t line; /* 0 = unknown */
};

struct profile_location {
	module_id module;
	uint64_t svma;
	/* profile->lines[first_line .. + n_lines): innermost inlined function first, the real
	 * function last; n_lines == 0 = not symbolized, or nothing known. */
	uint32_t first_line, n_lines;
};

struct profile_thread {
	uint32_t pid, tid;
	string_id comm; /* the process' name (its main thread's comm), "" = unknown */
	string_id name; /* the thread's comm */
};

/* Samples that agree in all of this are one sample. */
struct profile_sample_key {
	stack_id stack;
	thread_id thread;
	enum cp_stop stop;
	enum cp_joined joined;
	enum cp_state state;       /* NONE in CPU profiles */
	enum cp_inferred inferred; /* of the stack */
	string_id waits_for;       /* "", or the lock's address as "0x...", a path, a peer */
	int64_t time_ns; /* from the recording's start, already quantised; -1 = no timeline */
};

struct profile_value_type {
	string_id type, unit; /* "samples" "count", "cpu" "nanoseconds" */
};

/*
 * One "key=value" of the recording's header. Not interned: counters change with every flush of a
 * recording that may run for days, and interned strings are never released.
 */
struct profile_header_entry {
	char *key, *value; /* owned by the profile; key holds no '=' */
};

struct profile {
	struct interner strings;

	struct profile_value_type value_types[PROFILE_MAX_VALUES];
	size_t n_value_types;
	struct profile_value_type period_type;
	int64_t period;      /* in period_type's unit */
	int64_t start_ns;    /* wall clock, since the epoch; 0 = unknown */
	int64_t duration_ns; /* 0 = unknown */

	struct profile_module *modules;
	size_t n_modules, cap_modules;
	struct cp_index module_index;

	struct profile_function *functions;
	size_t n_functions, cap_functions;
	struct cp_index function_index;

	struct profile_line *lines;
	size_t n_lines, cap_lines;

	struct profile_location *locations;
	size_t n_locations, cap_locations;
	struct cp_index location_index;

	struct profile_thread *threads;
	size_t n_threads, cap_threads;
	struct cp_index thread_index;

	struct stack_store stacks; /* of location ids */

	struct profile_sample_key *samples;
	int64_t *values; /* n_samples rows of n_value_types */
	size_t n_samples, cap_samples, cap_values;
	struct cp_index sample_index;

	struct profile_header_entry *header;
	size_t n_header, cap_header;
};

/** An empty profile without value types. Return: 0 or -ENOMEM. */
int profile_create(struct profile **out);
void profile_destroy(struct profile *profile);

/** Intern a string in the profile. Return: as interner_add(). */
int profile_string(struct profile *profile, const char *text, string_id *out);

/** Borrowed; valid as long as the profile. */
static inline const char *profile_text(const struct profile *profile, string_id id)
{
	return interner_get(&profile->strings, id);
}

/** Append a value type. Only before the first sample. Return: 0, -ENOMEM, -ENOSPC past the limit.
 */
int profile_add_value_type(struct profile *profile, const char *type, const char *unit);

/** The column of a value type by its name, or -1. */
int profile_value_column(const struct profile *profile, const char *type);

/**
 * Find or add a module. Equal = same path, build-id, svma range and file offset; the has_*
 * flags are taken from @module only when it is new.
 *
 * Return: 0, -ENOMEM, -EOVERFLOW.
 */
int profile_add_module(struct profile *profile, const struct profile_module *module,
		       module_id *out);

/** Find or add a location. Return: 0, -ENOMEM, -EOVERFLOW. */
int profile_add_location(struct profile *profile, module_id module, uint64_t svma,
			 location_id *out);

/** Find or add a function; equal = all fields equal. Return: 0, -ENOMEM, -EOVERFLOW. */
int profile_add_function(struct profile *profile, const struct profile_function *function,
			 function_id *out);

/**
 * Set a location's inline chain, replacing what it had.
 *
 * @lines: innermost first; copied; not the profile's own
 * Return: 0, -ENOMEM, -EOVERFLOW.
 */
int profile_set_lines(struct profile *profile, location_id location,
		      const struct profile_line *lines, size_t n);

/** Find or add a thread; equal = all fields equal. Return: 0, -ENOMEM, -EOVERFLOW. */
int profile_add_thread(struct profile *profile, const struct profile_thread *thread,
		       thread_id *out);

/**
 * Add to a sample, which is made when its key is new.
 *
 * @values: n_value_types of them
 * Return: 0, -ENOMEM, -EOVERFLOW; on failure nothing was added.
 */
int profile_add_sample(struct profile *profile, const struct profile_sample_key *key,
		       const int64_t *values);

/** Forget samples, stacks; the ids of everything else stay. */
void profile_clear_samples(struct profile *profile);

/**
 * Forget threads too: their ids are void. Only without samples. Where processes are born all the
 * time their labels would be what a recording grows by.
 */
void profile_clear_threads(struct profile *profile);

/**
 * Merge samples over time: every time_ns is rounded down to a multiple of @quantum_ns, and
 * samples that now agree become one.
 *
 * @quantum_ns: 0 = drop the time altogether
 * Return: 0 or -ENOMEM (the profile is unchanged).
 */
int profile_coarsen(struct profile *profile, int64_t quantum_ns);

/** Set a header entry; a later one with the same key replaces it. Return: 0, -ENOMEM. */
int profile_header_set(struct profile *profile, const char *key, const char *value);
int profile_header_setf(struct profile *profile, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** The value of a key, or NULL. Borrowed; valid until the key is set again. */
const char *profile_header_get(const struct profile *profile, const char *key);

/** The value as a whole number, or @missing when absent or no number. */
uint64_t profile_header_u64(const struct profile *profile, const char *key, uint64_t missing);

/** True for the pseudo-module of the kernel. */
bool profile_module_is_kernel(const struct profile *profile, module_id module);

#endif
