#include "callee.h"

#include "no_cfi.h"
#include "remote/eh_frame.h"

#include <string.h>

enum { CALL_BYTES = 5, ENDBR_BYTES = 4 };

bool callee_function(struct address_space *space, uint64_t avma, uint64_t *start, uint64_t *end)
{
	struct eh_frame_entry entry;
	struct eh_frame_fde fde;
	const struct mapping *mapping = address_space_find(space, avma);
	if (!mapping || !mapping->image || !address_space_index(space, mapping))
		return false;
	const uint64_t svma = avma - mapping->bias;
	if (!eh_frame_search(mapping->image, svma, &entry) ||
	    !eh_frame_parse(mapping->image, entry.fde_svma, &fde) || svma < fde.svma_start ||
	    svma >= fde.svma_end)
		return false;
	*start = fde.svma_start + mapping->bias;
	*end = fde.svma_end + mapping->bias;
	return true;
}

/* The number that ends an instruction, counted from its end. */
static uint64_t relative(uint64_t end, const uint8_t *number)
{
	int32_t offset;
	memcpy(&offset, number, sizeof(offset));
	return end + (uint64_t)(int64_t)offset;
}

/* Where the pointer is that "call plt_entry" before @ra goes through; 0 = it is no such call. */
static uint64_t plt_pointer(struct address_space *space, uint64_t ra)
{
	uint8_t call[CALL_BYTES], entry[ENDBR_BYTES + 7];
	if (!address_space_code(space, ra - sizeof(call), call, sizeof(call)) || call[0] != 0xe8)
		return 0;
	const uint64_t at = relative(ra, call + 1);
	if (!address_space_find(space, at) || !address_space_code(space, at, entry, sizeof(entry)))
		return 0;
	size_t off = memcmp(entry, "\xf3\x0f\x1e\xfa", ENDBR_BYTES) == 0 ? ENDBR_BYTES : 0;
	off += entry[off] == 0xf2; /* bnd */
	if (off + 6 > sizeof(entry) || entry[off] != 0xff || entry[off + 1] != 0x25)
		return 0;
	return relative(at + off + 6, entry + off + 2);
}

bool callee_fits(struct address_space *space, uint64_t callee, uint64_t caller,
		 callee_read_fn *read, void *ctx)
{
	const uint64_t ra = caller + 1;
	uint64_t target, start, end;
	if (!callee_function(space, callee, &start, &end))
		return true;
	switch (no_cfi_call_before(space, ra, &target)) {
	case NO_CFI_CALL_DIRECT:
		return target == start;
	case NO_CFI_CALL_INDIRECT: {
		const uint64_t pointer = plt_pointer(space, ra);
		return pointer == 0 || !read(ctx, pointer, &target) || target == start;
	}
	default:
		return true;
	}
}
