#include "eh_frame_hdr.h"

#include "cfi_reader.h"

#include <string.h>

enum { HDR_VERSION = 1, ENTRY_BYTES = 8 };

static int32_t read_i32(const uint8_t *bytes)
{
	int32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

bool eh_frame_hdr_decode(const uint8_t *bytes, size_t n, uint64_t svma,
			 struct eh_frame_hdr_layout *out)
{
	struct cfi_reader reader = cfi_reader_make(bytes, n, svma);
	struct eh_frame_hdr_layout layout;
	const uint64_t version = cfi_read_fixed(&reader, 1);
	const unsigned eh_frame_enc = (unsigned)cfi_read_fixed(&reader, 1);
	const unsigned count_enc = (unsigned)cfi_read_fixed(&reader, 1);
	const unsigned table_enc = (unsigned)cfi_read_fixed(&reader, 1);
	layout.eh_frame_svma = cfi_read_pointer(&reader, eh_frame_enc, svma);
	layout.n_entries = cfi_read_pointer(&reader, count_enc, svma);
	layout.table_off = n - cfi_reader_left(&reader);
	if (reader.failed || version != HDR_VERSION ||
	    table_enc != (EH_PE_DATAREL | EH_PE_SDATA4) || layout.n_entries == 0 ||
	    layout.n_entries > cfi_reader_left(&reader) / ENTRY_BYTES)
		return false;
	*out = layout;
	return true;
}

bool eh_frame_hdr_fde_range(const uint8_t *bytes, uint64_t svma,
			    const struct eh_frame_hdr_layout *layout, uint64_t *min_svma,
			    uint64_t *max_svma)
{
	const uint8_t *entry = bytes + layout->table_off;
	int32_t last_function = INT32_MIN, min_fde = INT32_MAX, max_fde = INT32_MIN;
	for (uint64_t i = 0; i < layout->n_entries; i++, entry += ENTRY_BYTES) {
		const int32_t function = read_i32(entry), fde = read_i32(entry + 4);
		if (function < last_function)
			return false;
		last_function = function;
		if (fde < min_fde)
			min_fde = fde;
		if (fde > max_fde)
			max_fde = fde;
	}
	*min_svma = svma + (uint64_t)(int64_t)min_fde;
	*max_svma = svma + (uint64_t)(int64_t)max_fde;
	return true;
}
