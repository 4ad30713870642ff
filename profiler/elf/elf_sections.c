#include "elf_sections.h"

#include "base/cleanup.h"
#include "inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTIONS_MAX = 1 << 16, /* linked files have 40; bounds what a hostile one costs */
	NAMES_BYTES_MAX = 4 << 20,
};

void elf_sections_deinit(struct elf_sections *sections)
{
	free(sections->headers);
	free(sections->names);
	*sections = (struct elf_sections){.n = 0};
}

/* More sections than 16 bits count: the numbers are in the first header (gABI, "ELF Header"). */
static int read_counts(const struct elf_source *source, const Elf64_Ehdr *ehdr, uint64_t *n,
		       uint64_t *names_at)
{
	*n = ehdr->e_shnum;
	*names_at = ehdr->e_shstrndx;
	if (ehdr->e_shoff == 0 || ehdr->e_shentsize != sizeof(Elf64_Shdr) ||
	    !elf_source_holds(source, ehdr->e_shoff, sizeof(Elf64_Shdr))) {
		*n = 0;
		return 0;
	}
	if (*n != 0 && *names_at != SHN_XINDEX)
		return 0;
	Elf64_Shdr first;
	const int ret = elf_source_read(source, ehdr->e_shoff, &first, sizeof(first));
	if (ret)
		return ret;
	if (*n == 0)
		*n = first.sh_size;
	if (*names_at == SHN_XINDEX)
		*names_at = first.sh_link;
	return 0;
}

static int read_headers(const struct elf_source *source, const Elf64_Ehdr *ehdr,
			struct elf_sections *out)
{
	uint64_t n, names_at;
	int ret = read_counts(source, ehdr, &n, &names_at);
	if (ret || n == 0 || n > SECTIONS_MAX || names_at >= n ||
	    !elf_source_holds(source, ehdr->e_shoff, n * sizeof(Elf64_Shdr)))
		return ret;
	uint8_t *bytes;
	ret = elf_source_read_new(source, ehdr->e_shoff, n * sizeof(Elf64_Shdr), &bytes);
	if (ret)
		return ret;
	out->headers = (Elf64_Shdr *)(void *)bytes;
	const Elf64_Shdr *names = &out->headers[names_at];
	if (names->sh_type != SHT_STRTAB || names->sh_size > NAMES_BYTES_MAX ||
	    !elf_source_holds(source, names->sh_offset, names->sh_size))
		return 0;
	ret = elf_source_read_new(source, names->sh_offset, names->sh_size, &bytes);
	if (ret)
		return ret;
	bytes[names->sh_size] = '\0'; /* elf_source_read_new() has room for it */
	out->names = (char *)bytes;
	out->n_names = names->sh_size;
	out->n = n;
	return 0;
}

int elf_sections_read(const struct elf_source *source, const Elf64_Ehdr *ehdr,
		      struct elf_sections *out)
{
	struct elf_sections sections = {.n = 0};
	const int ret = read_headers(source, ehdr, &sections);
	if (ret) {
		elf_sections_deinit(&sections);
		return ret;
	}
	*out = sections;
	return 0;
}

const Elf64_Shdr *elf_sections_find(const struct elf_sections *sections, const char *name)
{
	for (size_t i = 0; i < sections->n; i++) {
		const Elf64_Shdr *header = &sections->headers[i];
		if (header->sh_type != SHT_NULL && header->sh_type != SHT_NOBITS &&
		    header->sh_size > 0 && header->sh_name < sections->n_names &&
		    strcmp(sections->names + header->sh_name, name) == 0)
			return header;
	}
	return NULL;
}

static int inflate_bytes(uint32_t type, const uint8_t *in, uint64_t n_in, uint64_t n_out,
			 uint64_t max, uint8_t **out, uint64_t *n)
{
	int ret = inflate_check(type, n_in, n_out);
	if (ret)
		return ret;
	if (n_out > max)
		return -EFBIG;
	CP_CLEANUP(cp_free) uint8_t *bytes = malloc(n_out + 1);
	if (!bytes)
		return -ENOMEM;
	ret = inflate_into(type, in, n_in, bytes, n_out);
	if (ret)
		return ret;
	*out = bytes;
	*n = n_out;
	bytes = NULL;
	return 0;
}

/* @bytes: the section as it is in the file */
static int inflate_section(const uint8_t *bytes, uint64_t size, bool zdebug, uint64_t max,
			   uint8_t **out, uint64_t *n)
{
	if (zdebug) { /* "ZLIB", the size as a big-endian number, the stream */
		enum { MAGIC_BYTES = 4, HEADER_BYTES = 12 };
		uint64_t n_out = 0;
		if (size < HEADER_BYTES || memcmp(bytes, "ZLIB", MAGIC_BYTES) != 0)
			return -EBADMSG;
		for (size_t i = MAGIC_BYTES; i < HEADER_BYTES; i++)
			n_out = n_out << 8 | bytes[i];
		return inflate_bytes(ELFCOMPRESS_ZLIB, bytes + HEADER_BYTES, size - HEADER_BYTES,
				     n_out, max, out, n);
	}
	Elf64_Chdr header;
	if (size < sizeof(header))
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	return inflate_bytes(header.ch_type, bytes + sizeof(header), size - sizeof(header),
			     header.ch_size, max, out, n);
}

int elf_section_read(const struct elf_source *source, const Elf64_Shdr *header, bool zdebug,
		     uint64_t max, uint8_t **out, uint64_t *n)
{
	if (header->sh_size > max)
		return -EFBIG;
	if (!elf_source_holds(source, header->sh_offset, header->sh_size))
		return -EBADMSG;
	CP_CLEANUP(cp_free) uint8_t *bytes = NULL;
	const int ret = elf_source_read_new(source, header->sh_offset, header->sh_size, &bytes);
	if (ret)
		return ret;
	if (zdebug || header->sh_flags & SHF_COMPRESSED)
		return inflate_section(bytes, header->sh_size, zdebug, max, out, n);
	*out = bytes;
	*n = header->sh_size;
	bytes = NULL;
	return 0;
}
