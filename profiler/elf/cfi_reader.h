/*
 * cfi_reader.h - read the numbers that unwind tables are made of, never beyond their end.
 *
 * A failed read makes the reader fail for good and gives 0, so that a parser reads a record as a
 * whole and asks once whether all of it was there.
 *
 * Depends on: nothing. Threads: any.
 */
#ifndef CPROF_ELF_CFI_READER_H
#define CPROF_ELF_CFI_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DW_EH_PE_*: pointer encodings (LSB core specification, 10.5); low half format, high half base */
enum {
	EH_PE_ABSPTR = 0x00,
	EH_PE_UDATA2 = 0x02,
	EH_PE_UDATA4 = 0x03,
	EH_PE_UDATA8 = 0x04,
	EH_PE_SDATA2 = 0x0a,
	EH_PE_SDATA4 = 0x0b,
	EH_PE_SDATA8 = 0x0c,
	EH_PE_FORMAT_MASK = 0x0f,
	EH_PE_PCREL = 0x10,
	EH_PE_DATAREL = 0x30,
	EH_PE_BASE_MASK = 0x70,
	EH_PE_INDIRECT = 0x80,
	EH_PE_OMIT = 0xff,
};

struct cfi_reader {
	const uint8_t *at, *end;
	uint64_t svma; /* of *at */
	bool failed;
};

/** Read @n bytes, loaded at @svma. */
static inline struct cfi_reader cfi_reader_make(const uint8_t *bytes, size_t n, uint64_t svma)
{
	return (struct cfi_reader){.at = bytes, .end = bytes + n, .svma = svma};
}

static inline size_t cfi_reader_left(const struct cfi_reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

/** Skip @n bytes and return where they began, or NULL. */
const uint8_t *cfi_read_bytes(struct cfi_reader *reader, uint64_t n);

/** A little-endian number of 1, 2, 4 or 8 bytes. */
uint64_t cfi_read_fixed(struct cfi_reader *reader, unsigned size);

/** LEB128 numbers of at most ten bytes (DWARF 5, 7.6). */
uint64_t cfi_read_uleb(struct cfi_reader *reader);
int64_t cfi_read_sleb(struct cfi_reader *reader);

/**
 * A pointer of a fixed-size format, absolute, relative to itself, or to @data_svma. The others
 * (also indirect ones, whose target is data of the running process) fail.
 */
uint64_t cfi_read_pointer(struct cfi_reader *reader, unsigned encoding, uint64_t data_svma);

#endif
