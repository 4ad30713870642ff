/*
 * code.h - which loaded object an address is in, and what its unwind information says there.
 *
 * glibc's _dl_find_object() (2.35) answers without a lock, also in signal handlers. Where it is
 * missing, the objects that were there when the process started, or at the last dlclose, are known:
 * code loaded later has no unwind information then.
 *
 * Depends on: rows, spin.h. Threads: any.
 */
#ifndef CPROF_HEAP_SHIM_CODE_H
#define CPROF_HEAP_SHIM_CODE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "rows/cfi_rows.h"

struct code_object {
	uint64_t start, end; /* avma of its mappings */
	uint64_t bias;
	const uint8_t *eh_frame_hdr; /* NULL = none */
	const Elf64_Phdr *segments;  /* NULL: behind the ELF header at @start */
	uint32_t n_segments;
	const char *name; /* the loader's; "" = the executable */
};

/** Look at what is loaded. Takes the loader's lock: from the constructor and from dlclose only. */
void code_refresh(void);

/** Return: false when the address is in no loaded object. */
bool code_find(uint64_t address, struct code_object *out);

/** The rule for the code at an address; CFI_NONE where nothing is said. About a microsecond. */
cfi_rule code_rule(uint64_t address);

#endif
