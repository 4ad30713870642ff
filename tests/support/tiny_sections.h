/*
 * tiny_sections.h - the tiny binary with section headers, and call frame information in sections.
 *
 * Behind the tiny_elf: a .debug_frame that describes a third function of 16 bytes, which the code
 * segment is made longer for, the sections' names, and their headers.
 *
 * Depends on: tiny_elf.h, zlib. Threads: any.
 */
#ifndef CPROF_TESTS_TINY_SECTIONS_H
#define CPROF_TESTS_TINY_SECTIONS_H

#include "tiny_elf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { TINY_SECTIONS = 4, TINY_DEBUG_FRAME_ROOM = 256 };

struct __attribute__((packed)) tiny_debug_frame {
	struct __attribute__((packed)) {
		uint32_t length, id;
		uint8_t version, augmentation;
		uint8_t code_align, data_align, ra_column;
		uint8_t instructions[7];
	} cie;
	struct __attribute__((packed)) {
		uint32_t length, cie;
		uint64_t start, size;
		uint8_t instructions[8];
	} fdes[2];
};

struct __attribute__((packed)) tiny_sections {
	struct tiny_elf elf;
	uint8_t third_function[TINY_FUNCTION_BYTES];
	uint8_t debug_frame[TINY_DEBUG_FRAME_ROOM];
	char names[48];
	Elf64_Shdr null, eh_frame, frame, shstrtab;
};

#define TINY_THIRD_SVMA (TINY_CODE_SVMA + TINY_CODE_BYTES)

/* The first FDE describes the tiny_elf's first function otherwise than its .eh_frame: CFA = rsp+64;
 * the second one the third function: CFA = rsp+32 from the first byte on. */
static inline struct tiny_debug_frame tiny_debug_frame_make(void)
{
	struct tiny_debug_frame frame = {
		.cie = {.length = sizeof(frame.cie) - 4,
			.id = UINT32_MAX,
			.version = 3,
			.code_align = 1,
			.data_align = 0x78,
			.ra_column = 16,
			.instructions = {0x0c, 7, 8, 0x80 | 16, 1}},
		.fdes = {{.length = sizeof(frame.fdes[0]) - 4,
			  .start = TINY_CODE_SVMA,
			  .size = TINY_FUNCTION_BYTES,
			  .instructions = {0x0e, 64}},
			 {.length = sizeof(frame.fdes[0]) - 4,
			  .start = TINY_THIRD_SVMA,
			  .size = TINY_FUNCTION_BYTES,
			  .instructions = {0x0e, 32}}},
	};
	return frame;
}

static inline struct tiny_sections tiny_sections_make(void)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
	struct tiny_sections file = {.elf = tiny_elf_make()};
	const struct tiny_debug_frame frame = tiny_debug_frame_make();
	memcpy(file.debug_frame, &frame, sizeof(frame));
	memcpy(file.names, names, sizeof(names));
	memset(file.third_function, 0x90, sizeof(file.third_function));
	file.elf.code_segment.p_filesz += TINY_FUNCTION_BYTES;
	file.elf.code_segment.p_memsz += TINY_FUNCTION_BYTES;
	file.elf.ehdr.e_shoff = offsetof(struct tiny_sections, null);
	file.elf.ehdr.e_shentsize = sizeof(Elf64_Shdr);
	file.elf.ehdr.e_shnum = TINY_SECTIONS;
	file.elf.ehdr.e_shstrndx = TINY_SECTIONS - 1;
	file.eh_frame = (Elf64_Shdr){.sh_name = 1,
				     .sh_type = SHT_PROGBITS,
				     .sh_flags = SHF_ALLOC,
				     .sh_addr = TINY_OFF(cie),
				     .sh_offset = TINY_OFF(cie),
				     .sh_size = TINY_OFF(code) - TINY_OFF(cie)};
	file.frame = (Elf64_Shdr){.sh_name = 11,
				  .sh_type = SHT_PROGBITS,
				  .sh_offset = offsetof(struct tiny_sections, debug_frame),
				  .sh_size = sizeof(frame)};
	file.shstrtab = (Elf64_Shdr){.sh_name = 24,
				     .sh_type = SHT_STRTAB,
				     .sh_offset = offsetof(struct tiny_sections, names),
				     .sh_size = sizeof(names)};
	return file;
}

/* Compress .debug_frame, as -gz does. @claim: what its size is said to be; 0 = the truth */
static inline void tiny_sections_compress(struct tiny_sections *file, uint64_t claim)
{
	const struct tiny_debug_frame frame = tiny_debug_frame_make();
	const Elf64_Chdr header = {.ch_type = ELFCOMPRESS_ZLIB,
				   .ch_size = claim ? claim : sizeof(frame),
				   .ch_addralign = 1};
	uLongf n = sizeof(file->debug_frame) - sizeof(header);
	memcpy(file->debug_frame, &header, sizeof(header));
	if (compress(file->debug_frame + sizeof(header), &n, (const uint8_t *)&frame,
		     sizeof(frame)) != Z_OK)
		abort();
	file->frame.sh_flags = SHF_COMPRESSED;
	file->frame.sh_size = sizeof(header) + n;
}

/* The same by zstd. */
static inline void tiny_sections_compress_zstd(struct tiny_sections *file)
{
	const struct tiny_debug_frame frame = tiny_debug_frame_make();
	const Elf64_Chdr header = {.ch_type = 2, .ch_size = sizeof(frame), .ch_addralign = 1};
	memcpy(file->debug_frame, &header, sizeof(header));
	const size_t n =
		ZSTD_compress(file->debug_frame + sizeof(header),
			      sizeof(file->debug_frame) - sizeof(header), &frame, sizeof(frame), 3);
	if (ZSTD_isError(n))
		abort();
	file->frame.sh_flags = SHF_COMPRESSED;
	file->frame.sh_size = sizeof(header) + n;
}

/* The older form: .zdebug_frame, "ZLIB", the size as a big-endian number. */
static inline void tiny_sections_compress_gnu(struct tiny_sections *file)
{
	enum { HEADER_BYTES = 12 };
	static const char names[] = "\0.eh_frame\0.zdebug_frame\0.shstrtab";
	const struct tiny_debug_frame frame = tiny_debug_frame_make();
	uLongf n = sizeof(file->debug_frame) - HEADER_BYTES;
	memcpy(file->debug_frame, "ZLIB\0\0\0\0\0\0\0", HEADER_BYTES);
	file->debug_frame[HEADER_BYTES - 1] = sizeof(frame);
	if (compress(file->debug_frame + HEADER_BYTES, &n, (const uint8_t *)&frame,
		     sizeof(frame)) != Z_OK)
		abort();
	memcpy(file->names, names, sizeof(names));
	file->shstrtab.sh_size = sizeof(names);
	file->shstrtab.sh_name = 25;
	file->frame.sh_size = HEADER_BYTES + n;
}

#endif
