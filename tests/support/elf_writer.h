/*
 * elf_writer.h - write ELF files section by section, sound ones and others.
 *
 * A section's bytes are put together with the put_ functions; elf_writer_finish() lays the
 * sections out behind the header and writes the table. Nothing is checked: what a test says is
 * written, also when it is wrong. Out of memory aborts.
 *
 * Depends on: elf.h, zlib. Threads: any.
 */
#ifndef CPROF_TESTS_ELF_WRITER_H
#define CPROF_TESTS_ELF_WRITER_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct bytes {
	uint8_t *data;
	size_t n, cap;
};

static inline void put(struct bytes *to, const void *data, size_t n)
{
	if (to->n + n > to->cap) {
		to->cap = 2 * to->cap + n + 64;
		to->data = realloc(to->data, to->cap);
		if (!to->data)
			abort();
	}
	if (n > 0)
		memcpy(to->data + to->n, data, n);
	to->n += n;
}

static inline void put_u8(struct bytes *to, unsigned int value)
{
	const uint8_t byte = (uint8_t)value;
	put(to, &byte, 1);
}

static inline void put_u16(struct bytes *to, unsigned int value)
{
	const uint16_t half = (uint16_t)value;
	put(to, &half, sizeof(half));
}

static inline void put_u32(struct bytes *to, uint32_t value)
{
	put(to, &value, sizeof(value));
}

static inline void put_u64(struct bytes *to, uint64_t value)
{
	put(to, &value, sizeof(value));
}

static inline void put_uleb(struct bytes *to, uint64_t value)
{
	do {
		put_u8(to, (unsigned int)(value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value);
}

static inline void put_text(struct bytes *to, const char *text)
{
	put(to, text, strlen(text) + 1);
}

static inline void put_fill(struct bytes *to, unsigned int value, size_t n)
{
	while (n-- > 0)
		put_u8(to, value);
}

/* Write over what is there. */
static inline void patch_u32(struct bytes *in, size_t at, uint64_t value)
{
	const uint32_t word = (uint32_t)value;
	memcpy(in->data + at, &word, sizeof(word));
}

enum { ELF_WRITER_MAX_SECTIONS = 24 };

struct elf_writer_section {
	const char *name;
	Elf64_Shdr header; /* name, offset, and a size of 0 are filled in */
	struct bytes bytes;
};

struct elf_writer {
	Elf64_Ehdr header; /* e_shoff, e_shnum, e_shstrndx are filled in */
	struct elf_writer_section sections[ELF_WRITER_MAX_SECTIONS];
	size_t n;
};

static inline void elf_writer_init(struct elf_writer *elf)
{
	*elf = (struct elf_writer){
		.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			   .e_type = ET_DYN,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_ehsize = sizeof(Elf64_Ehdr),
			   .e_shentsize = sizeof(Elf64_Shdr)},
		.n = 1, /* the null section */
	};
}

static inline void elf_writer_deinit(struct elf_writer *elf)
{
	for (size_t i = 0; i < elf->n; i++)
		free(elf->sections[i].bytes.data);
	elf->n = 0;
}

/* The section of a name, made when there is none yet. Its address stays valid. */
static inline struct elf_writer_section *elf_writer_section(struct elf_writer *elf,
							    const char *name)
{
	for (size_t i = 1; i < elf->n; i++)
		if (strcmp(elf->sections[i].name, name) == 0)
			return &elf->sections[i];
	if (elf->n == ELF_WRITER_MAX_SECTIONS - 1) /* one is kept for the names */
		abort();
	struct elf_writer_section *section = &elf->sections[elf->n++];
	section->name = name;
	section->header.sh_type = SHT_PROGBITS;
	section->header.sh_addralign = 1;
	return section;
}

static inline struct bytes *elf_writer_bytes(struct elf_writer *elf, const char *name)
{
	return &elf_writer_section(elf, name)->bytes;
}

static inline uint32_t elf_writer_index(struct elf_writer *elf, const char *name)
{
	return (uint32_t)(elf_writer_section(elf, name) - elf->sections);
}

/* Code: @n bytes at @svma, which are not in the file: as in a debug file. */
static inline void elf_writer_add_code(struct elf_writer *elf, uint64_t svma, size_t n)
{
	struct elf_writer_section *text = elf_writer_section(elf, ".text");
	text->header.sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	text->header.sh_type = SHT_NOBITS;
	text->header.sh_addr = svma;
	text->header.sh_size = n;
}

static inline void elf_writer_add_symbol(struct elf_writer *elf, const char *name, uint64_t svma,
					 uint64_t size, unsigned int info)
{
	struct elf_writer_section *symbols = elf_writer_section(elf, ".symtab");
	struct bytes *names = elf_writer_bytes(elf, ".strtab");
	Elf64_Sym symbol = {0};
	if (symbols->bytes.n == 0) {
		put(&symbols->bytes, &symbol, sizeof(symbol));
		put_u8(names, 0);
		symbols->header.sh_type = SHT_SYMTAB;
		symbols->header.sh_entsize = sizeof(symbol);
		symbols->header.sh_link = elf_writer_index(elf, ".strtab");
		elf_writer_section(elf, ".strtab")->header.sh_type = SHT_STRTAB;
	}
	symbol = (Elf64_Sym){.st_name = (uint32_t)names->n,
			     .st_info = (unsigned char)info,
			     .st_shndx = (uint16_t)elf_writer_index(elf, ".text"),
			     .st_value = svma,
			     .st_size = size};
	put(&symbols->bytes, &symbol, sizeof(symbol));
	put_text(names, name);
}

/* Compress a section, as -gz does. @claim: the size it is said to have; 0 = the truth */
static inline void elf_writer_compress(struct elf_writer *elf, const char *name, uint64_t claim)
{
	struct elf_writer_section *section = elf_writer_section(elf, name);
	struct bytes plain = section->bytes;
	const Elf64_Chdr header = {
		.ch_type = ELFCOMPRESS_ZLIB, .ch_size = claim ? claim : plain.n, .ch_addralign = 1};
	uLongf n = compressBound(plain.n);
	uint8_t *packed = malloc(n);
	if (!packed || compress(packed, &n, plain.data, plain.n) != Z_OK)
		abort();
	section->bytes = (struct bytes){.data = NULL};
	put(&section->bytes, &header, sizeof(header));
	put(&section->bytes, packed, n);
	section->header.sh_flags |= SHF_COMPRESSED;
	free(packed);
	free(plain.data);
}

/* The whole file. */
static inline struct bytes elf_writer_finish(struct elf_writer *elf)
{
	struct bytes file = {.data = NULL};
	struct elf_writer_section *names = &elf->sections[elf->n++];
	names->name = ".shstrtab";
	names->header.sh_type = SHT_STRTAB;
	put_u8(&names->bytes, 0);
	for (size_t i = 1; i < elf->n; i++) {
		elf->sections[i].header.sh_name = (uint32_t)names->bytes.n;
		put_text(&names->bytes, elf->sections[i].name);
	}
	put(&file, &elf->header, sizeof(elf->header));
	for (size_t i = 1; i < elf->n; i++) {
		struct elf_writer_section *section = &elf->sections[i];
		section->header.sh_offset = file.n;
		if (section->header.sh_size == 0)
			section->header.sh_size = section->bytes.n;
		put(&file, section->bytes.data, section->bytes.n);
		put_fill(&file, 0, -file.n & 7);
	}
	elf->header.e_shoff = file.n;
	if (elf->header.e_shnum == 0)
		elf->header.e_shnum = (uint16_t)elf->n;
	if (elf->header.e_shstrndx == 0)
		elf->header.e_shstrndx = (uint16_t)(elf->n - 1);
	memcpy(file.data, &elf->header, sizeof(elf->header));
	for (size_t i = 0; i < elf->n; i++)
		put(&file, &elf->sections[i].header, sizeof(Elf64_Shdr));
	return file;
}

#endif
