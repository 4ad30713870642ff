/*
 * modules.h - which module of the profile an address lies in, and where in it.
 *
 * Depends on: base, unwind, profile, processes.h. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_MODULES_H
#define CPROF_CAPTURE_MODULES_H

#include "processes.h"
#include "profile/profile.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum module_runtime { RUNTIME_PYTHON, RUNTIME_NODE, RUNTIME_JAVA, RUNTIME_COUNT };

struct kept_files;

struct modules {
	struct kept_files *kept_files; /* gets each binary that is met; NULL = none are kept */
	bool keep_ours_only;      /* of these, what lies where its path leads here: see modules.c */
	struct profile *profile;  /* borrowed */
	uint32_t kernel, unknown; /* module id + 1; 0 = not made yet */
	uint32_t omitted;         /* location id + 1; 0 = not made yet */
	bool runtimes[RUNTIME_COUNT]; /* seen */
	/* called for a process whose code in no file is met first; may be NULL */
	void (*generated_code)(void *ctx, pid_t pid);
	void *generated_code_ctx;
};

/** @profile: borrowed. */
void modules_init(struct modules *modules, struct profile *profile);

/**
 * The module of a user address and the address in the module's own space.
 *
 * Return: 0, -ENOMEM, -EOVERFLOW.
 */
int modules_locate(struct modules *modules, struct process *process, uint64_t avma, module_id *out,
		   uint64_t *out_svma);

/** The kernel: svma = avma. Return: as above. */
int modules_kernel(struct modules *modules, module_id *out);

/** What lies in no mapping: svma = avma. Return: as above. */
int modules_unknown(struct modules *modules, module_id *out);

static inline bool modules_is_unknown(const struct modules *modules, module_id module)
{
	return module.v + 1 == modules->unknown;
}

/** A frame that is no code, with the name of its pseudo-module. Once for each. Return: as above. */
int modules_named(struct modules *modules, const char *name, location_id *out);

/** The frame that stands for those left out of a very deep stack. Return: as above. */
int modules_omitted(struct modules *modules, location_id *out);

/**
 * Add a process' main executable, if it can be found: pprof takes a profile's first module for the
 * main binary.
 */
void modules_add_main(struct modules *modules, const struct processes *processes, pid_t pid);

/** "python,node"; "" when none was seen. Return: @buf. */
const char *modules_runtimes(const struct modules *modules, char *buf, size_t cap);

/**
 * Find the build-id among ELF notes.
 *
 * @hex: at least 2 * ELF_BUILD_ID_MAX + 1 bytes; "" when there is none
 */
void modules_notes_build_id(const uint8_t *notes, size_t n, char *hex);

#endif
