#include "cfi_reader.h"

#include <string.h>

enum { LEB_BYTES_MAX = 10 };

const uint8_t *cfi_read_bytes(struct cfi_reader *reader, uint64_t n)
{
	const uint8_t *const start = reader->at;
	if (reader->failed || n > cfi_reader_left(reader)) {
		reader->failed = true;
		return NULL;
	}
	reader->at += n;
	reader->svma += n;
	return start;
}

uint64_t cfi_read_fixed(struct cfi_reader *reader, unsigned size)
{
	uint64_t value = 0;
	const uint8_t *bytes = cfi_read_bytes(reader, size);
	if (bytes)
		memcpy(&value, bytes, size);
	return value;
}

static uint64_t read_leb(struct cfi_reader *reader, bool is_signed)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < LEB_BYTES_MAX; i++) {
		const uint8_t byte = (uint8_t)cfi_read_fixed(reader, 1);
		const unsigned shift = i * 7;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (is_signed && byte & 0x40 && shift + 7 < 64)
			value |= ~UINT64_C(0) << (shift + 7);
		return value;
	}
	reader->failed = true;
	return 0;
}

uint64_t cfi_read_uleb(struct cfi_reader *reader)
{
	return read_leb(reader, false);
}

int64_t cfi_read_sleb(struct cfi_reader *reader)
{
	return (int64_t)read_leb(reader, true);
}

static uint64_t read_number(struct cfi_reader *reader, unsigned format)
{
	switch (format) {
	case EH_PE_UDATA2:
		return cfi_read_fixed(reader, 2);
	case EH_PE_UDATA4:
		return cfi_read_fixed(reader, 4);
	case EH_PE_SDATA2:
		return (uint64_t)(int16_t)cfi_read_fixed(reader, 2);
	case EH_PE_SDATA4:
		return (uint64_t)(int32_t)cfi_read_fixed(reader, 4);
	case EH_PE_ABSPTR:
	case EH_PE_UDATA8:
	case EH_PE_SDATA8:
		return cfi_read_fixed(reader, 8);
	default:
		reader->failed = true;
		return 0;
	}
}

uint64_t cfi_read_pointer(struct cfi_reader *reader, unsigned encoding, uint64_t data_svma)
{
	const uint64_t field_svma = reader->svma;
	const uint64_t value = read_number(reader, encoding & EH_PE_FORMAT_MASK);
	if (encoding & EH_PE_INDIRECT)
		reader->failed = true;
	switch (encoding & EH_PE_BASE_MASK) {
	case EH_PE_ABSPTR:
		return value;
	case EH_PE_PCREL:
		return value + field_svma;
	case EH_PE_DATAREL:
		return value + data_svma;
	default:
		reader->failed = true;
		return 0;
	}
}
