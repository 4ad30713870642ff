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

struct eh_frame_fde {
	uint64_t svma_start, svma_end; /* the code it describes */
	uint64_t hdr_svma;             /* of .eh_frame_hdr, which its index is relative to */
	uint64_t entry_svma;           /* of its entry in the index */
	bool signal_frame;             /* 'S': the frame was interrupted, not called */
};

enum eh_frame_result {
	EH_FRAME_FOUND,
	EH_FRAME_NONE,        /* no table, or none of its functions holds the address */
	EH_FRAME_UNSUPPORTED, /* damaged, or in a form that no compiler emits */
};

/** @out: written when EH_FRAME_FOUND. */
enum eh_frame_result eh_frame_find(const struct elf_image *image, uint64_t svma,
				   struct eh_frame_fde *out);

#endif
