/*
 * eh_frame_hdr.h - decode .eh_frame_hdr, the sorted index of a binary's unwind tables.
 *
 * Every encoding that linkers write is understood: the pointer to .eh_frame in any fixed-size
 * form, the table as pairs of int32 relative to the header (LSB core specification, 10.6.2;
 * ld, gold, lld and mold all write exactly that, and unwinders support nothing else).
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_ELF_EH_FRAME_HDR_H
#define CPROF_ELF_EH_FRAME_HDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eh_frame_hdr_layout {
	uint64_t eh_frame_svma; /* where .eh_frame begins */
	uint64_t table_off;     /* of the table, from the header's start */
	uint64_t n_entries;     /* pairs of int32: function, FDE; both relative to the header */
};

/**
 * Decode the fixed part.
 *
 * @bytes: the whole section, @n bytes, loaded at @svma
 * Return: false when damaged, without a table, or in an encoding nobody writes; @out untouched.
 */
bool eh_frame_hdr_decode(const uint8_t *bytes, size_t n, uint64_t svma,
			 struct eh_frame_hdr_layout *out);

/**
 * The lowest and highest FDE that the table names.
 *
 * @bytes: as above, with the layout decoded from it; n_entries > 0
 * Return: false when the table is not sorted by function, so that a search would go astray.
 */
bool eh_frame_hdr_fde_range(const uint8_t *bytes, uint64_t svma,
			    const struct eh_frame_hdr_layout *layout, uint64_t *min_svma,
			    uint64_t *max_svma);

#endif
