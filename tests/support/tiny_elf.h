/*
 * tiny_elf.h - a complete small shared object, byte by byte, to break in tests.
 *
 * Two segments: one with the headers, the build-id and the unwind tables at svma 0, one with 32
 * bytes of code, a page further up in memory than in the file, as lld lays them out. The tables
 * describe two functions of 16 bytes each, the first one a plain function, the second one too.
 *
 * Depends on: elf.h. Threads: any.
 */
#ifndef CPROF_TESTS_TINY_ELF_H
#define CPROF_TESTS_TINY_ELF_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TINY_CODE_BYTES = 32, TINY_FUNCTION_BYTES = 16, TINY_CODE_SHIFT = 0x1000 };

struct __attribute__((packed)) tiny_elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr read_only, code_segment, note_segment, eh_segment;
	struct __attribute__((packed)) {
		Elf64_Nhdr nhdr;
		char name[4];
		uint8_t id[20];
	} note;
	uint8_t padding[4];
	struct __attribute__((packed)) {
		uint8_t version, eh_frame_enc, count_enc, table_enc;
		int32_t eh_frame;
		uint32_t count;
		struct __attribute__((packed)) {
			int32_t function, fde;
		} entries[2];
	} hdr;
	struct __attribute__((packed)) tiny_cie {
		uint32_t length, id;
		uint8_t version;
		char augmentation[3];
		uint8_t code_align, data_align, ra_column;
		uint8_t augmentation_bytes, pointer_enc;
		uint8_t instructions[7];
	} cie;
	struct __attribute__((packed)) tiny_fde {
		uint32_t length, to_cie;
		int32_t start;
		uint32_t size;
		uint8_t augmentation_bytes;
		uint8_t instructions[15];
	} fdes[2];
	uint32_t terminator;
	uint8_t code[TINY_CODE_BYTES];
};

#define TINY_OFF(member) ((uint64_t)offsetof(struct tiny_elf, member))
#define TINY_FDE_OFF(i) (TINY_OFF(fdes) + (i) * sizeof(struct tiny_fde))
#define TINY_CODE_SVMA (TINY_OFF(code) + TINY_CODE_SHIFT)

static inline struct tiny_elf tiny_elf_make(void)
{
	/* def_cfa rsp+8; return address at cfa-8; nop, nop */
	static const uint8_t cie_instructions[] = {0x0c, 7, 8, 0x80 | 16, 1, 0, 0};
	/* after 1 byte: def_cfa_offset 16, rbp at cfa-16; after 1 more: def_cfa rbp+16 */
	static const uint8_t fde_instructions[] = {0x41, 0x0e, 16, 0x86, 2, 0x41, 0x0d, 6};
	struct tiny_elf elf = {
		.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_entry = TINY_CODE_SVMA,
			 .e_phoff = TINY_OFF(read_only),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 4},
		.read_only = {.p_type = PT_LOAD,
			      .p_flags = PF_R,
			      .p_filesz = TINY_OFF(code),
			      .p_memsz = TINY_OFF(code),
			      .p_align = 0x1000},
		.code_segment = {.p_type = PT_LOAD,
				 .p_flags = PF_R | PF_X,
				 .p_offset = TINY_OFF(code),
				 .p_vaddr = TINY_CODE_SVMA,
				 .p_filesz = TINY_CODE_BYTES,
				 .p_memsz = TINY_CODE_BYTES,
				 .p_align = 0x1000},
		.note_segment = {.p_type = PT_NOTE,
				 .p_offset = TINY_OFF(note),
				 .p_vaddr = TINY_OFF(note),
				 .p_filesz = 36,
				 .p_memsz = 36,
				 .p_align = 4},
		.eh_segment = {.p_type = PT_GNU_EH_FRAME,
			       .p_offset = TINY_OFF(hdr),
			       .p_vaddr = TINY_OFF(hdr),
			       .p_filesz = 28,
			       .p_memsz = 28,
			       .p_align = 4},
		.note = {.nhdr = {4, 20, NT_GNU_BUILD_ID}, .name = "GNU"},
		.hdr = {.version = 1,
			.eh_frame_enc = 0x1b, /* pcrel sdata4 */
			.count_enc = 0x03,    /* udata4 */
			.table_enc = 0x3b,    /* datarel sdata4 */
			.eh_frame = (int32_t)(TINY_OFF(cie) - TINY_OFF(hdr.eh_frame)),
			.count = 2},
		.cie = {.length = 20,
			.version = 1,
			.augmentation = "zR",
			.code_align = 1,
			.data_align = 0x78, /* -8 */
			.ra_column = 16,
			.augmentation_bytes = 1,
			.pointer_enc = 0x1b},
	};
	memcpy(elf.cie.instructions, cie_instructions, sizeof(cie_instructions));
	for (int i = 0; i < 2; i++) {
		const uint64_t function = TINY_CODE_SVMA + (uint64_t)i * TINY_FUNCTION_BYTES;
		const uint64_t fde = TINY_FDE_OFF((unsigned)i);
		elf.hdr.entries[i].function = (int32_t)(function - TINY_OFF(hdr));
		elf.hdr.entries[i].fde = (int32_t)(fde - TINY_OFF(hdr));
		elf.fdes[i].length = sizeof(struct tiny_fde) - 4;
		elf.fdes[i].to_cie = (uint32_t)(fde + 4 - TINY_OFF(cie));
		elf.fdes[i].start = (int32_t)(function - (fde + 8));
		elf.fdes[i].size = TINY_FUNCTION_BYTES;
		memcpy(elf.fdes[i].instructions, fde_instructions, sizeof(fde_instructions));
	}
	for (unsigned i = 0; i < sizeof(elf.note.id); i++)
		elf.note.id[i] = (uint8_t)(0xa0 + i);
	memset(elf.code, 0x90, sizeof(elf.code));
	return elf;
}

#endif
