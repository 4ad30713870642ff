/*
 * kernel_debug.h - the kernel's debug file (vmlinux), for lines and inlined calls of its own code.
 *
 * The running kernel's symbols say where it was loaded on this boot: the difference between its
 * _text and that of the file turns recorded addresses into those of the file. Only a file with the
 * build-id of the recorded kernel is used. Code of kernel modules is not in it.
 *
 * Depends on: base, binary, kallsyms. Threads: one at a time.
 */
#ifndef CPROF_SYMBOLIZER_KERNEL_DEBUG_H
#define CPROF_SYMBOLIZER_KERNEL_DEBUG_H

#include "binary.h"
#include "kallsyms.h"

struct kernel_debug {
	struct binary *binary; /* NULL = none */
	uint64_t slide;        /* recorded address - that of the file */
};

/**
 * Look for the file: below the debug directories as distributions install it, in /boot and beside
 * the kernel's modules, by build-id; not on servers.
 *
 * @release:  as uname -r has it
 * @build_id: lower-case hex; "" = unknown: no file can be told from another build's
 * Return: 0, also when there is none; -ENOMEM.
 */
int kernel_debug_open(struct kernel_debug *debug, const char *release, const char *build_id,
		      const struct kallsyms *kallsyms, const struct binary_options *options);
void kernel_debug_close(struct kernel_debug *debug);

/** As binary_find(); @n = 0 also for code of kernel modules. */
int kernel_debug_find(struct kernel_debug *debug, uint64_t address,
		      const struct symbol_frame **frames, size_t *n);

#endif
