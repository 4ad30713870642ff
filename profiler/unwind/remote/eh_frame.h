/*
 * eh_frame.h - find the unwind information of an address in a binary's .eh_frame.
 *
 * The search, the CIE and the FDE are ours, so that nothing unchecked reaches libunwind, and one
 * miss costs a search over plain memory instead of a call per byte.
 *
 * Depends on: elf. Threads: any.
 */
#ifndef CPROF_UNWIND_REMOTE_EH_FRAME_H
#define CPROF_UNWIND_REMOTE_EH_FRAME_H

#include "elf/elf_image.h"

/* An entry of the index, .eh_frame_hdr. */
struct eh_frame_entry {
	uint64_t hdr_svma; /* of the index, which the entry's numbers are relative to */
	uint64_t svma;     /* of the entry */
	uint64_t fde_svma;
};

struct eh_frame_fde {
	uint64_t svma_start, svma_end; /* the code it describes */
	bool signal_frame;             /* 'S': the caller was interrupted, not calling */
};

/**
 * The entry with the greatest start at or below an address, whose FDE may end before the address.
 * Return: false when there is none, or no table.
 */
bool eh_frame_search(const struct elf_image *image, uint64_t svma, struct eh_frame_entry *out);

/** Return: false when the FDE is damaged, or in a form that no compiler emits; @out untouched. */
bool eh_frame_parse(const struct elf_image *image, uint64_t fde_svma, struct eh_frame_fde *out);

#endif
