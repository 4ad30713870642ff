#include "zstd_image.h"

#include "base/cleanup.h"
#include "inflate.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What libdw reads; files have a dozen, and section numbers from 0xff00 on mean something else. */
enum { SECTIONS_MAX = 256, SECTION_ALIGN = 16 };

struct part {
	Elf64_Shdr header;    /* of the new file */
	const char *name;     /* borrowed from libelf */
	const uint8_t *bytes; /* of the old file, borrowed from libelf */
	uint64_t size;
	bool zstd;
};

struct plan {
	Elf *elf;
	struct part parts[SECTIONS_MAX];
	size_t n;
	uint64_t size;
	uint64_t names_size;
	bool any_zstd;
};

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_debug_section(const char *name)
{
	return starts_with(name, ".debug_") || starts_with(name, ".zdebug_") ||
	       strcmp(name, ".gnu_debugaltlink") == 0;
}

/* The compression header of a section, where it has one. */
static bool read_chdr(const Elf64_Shdr *header, const Elf_Data *data, Elf64_Chdr *out)
{
	if (!(header->sh_flags & SHF_COMPRESSED) || data->d_size < sizeof(*out))
		return false;
	memcpy(out, data->d_buf, sizeof(*out));
	return true;
}

static bool is_of_this_class(Elf *elf)
{
	const char *ident = elf_getident(elf, NULL);
	return ident && ident[EI_CLASS] == ELFCLASS64 && ident[EI_DATA] == ELFDATA2LSB;
}

/* The next debug section with content. Return: NULL at the end. */
static Elf_Scn *next_debug_section(Elf *elf, Elf_Scn *section, GElf_Shdr *header, const char **name,
				   Elf_Data **data)
{
	size_t names;
	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		/* copied: the table of a damaged file may lie at any byte */
		*name = gelf_getshdr(section, header) ? elf_strptr(elf, names, header->sh_name)
						      : NULL;
		if (!*name || header->sh_type == SHT_NOBITS || !is_debug_section(*name))
			continue;
		*data = elf_rawdata(section, NULL);
		if (*data && (*data)->d_buf && (*data)->d_size > 0)
			return section;
	}
	return NULL;
}

uint64_t zstd_image_claimed_bytes(Elf *elf)
{
	uint64_t sum = 0;
	GElf_Shdr header;
	const char *name;
	Elf_Data *data;
	Elf_Scn *section = NULL;
	if (!is_of_this_class(elf))
		return 0;
	while ((section = next_debug_section(elf, section, &header, &name, &data)) != NULL) {
		Elf64_Chdr chdr;
		/* what is not compressed is mapped and takes no memory of ours */
		if (!read_chdr(&header, data, &chdr) ||
		    inflate_check(chdr.ch_type, data->d_size, chdr.ch_size) != 0)
			continue;
		sum = sum + chdr.ch_size < sum ? UINT64_MAX : sum + chdr.ch_size;
	}
	return sum;
}

static uint64_t aligned(uint64_t size)
{
	return (size + SECTION_ALIGN - 1) & ~(uint64_t)(SECTION_ALIGN - 1);
}

static void plan_part(struct plan *plan, const Elf64_Shdr *header, const char *name,
		      const Elf_Data *data)
{
	Elf64_Chdr chdr;
	struct part part = {
		.header = *header, .name = name, .bytes = data->d_buf, .size = data->d_size};
	part.header.sh_size = data->d_size;
	if (read_chdr(header, data, &chdr) && chdr.ch_type == ELFCOMPRESS_ZSTD) {
		plan->any_zstd = true;
		part.zstd = true;
		part.bytes += sizeof(chdr);
		part.size -= sizeof(chdr);
		if (inflate_check(ELFCOMPRESS_ZSTD, part.size, chdr.ch_size) != 0)
			return;
		part.header.sh_flags &= ~(uint64_t)SHF_COMPRESSED;
		part.header.sh_size = chdr.ch_size;
		part.header.sh_addralign = chdr.ch_addralign;
	}
	part.header.sh_addr = 0;
	part.header.sh_link = part.header.sh_info = 0;
	part.header.sh_offset = plan->size;
	part.header.sh_name = (uint32_t)plan->names_size;
	plan->names_size += strlen(name) + 1;
	plan->size = part.header.sh_size > UINT64_MAX / 2 - plan->size
			     ? UINT64_MAX / 2
			     : plan->size + aligned(part.header.sh_size);
	plan->parts[plan->n++] = part;
}

static void make_plan(struct plan *plan, Elf *elf)
{
	GElf_Shdr header;
	const char *name;
	Elf_Data *data;
	Elf_Scn *section = NULL;
	plan->elf = elf;
	plan->size = aligned(sizeof(Elf64_Ehdr));
	plan->names_size = 1 + sizeof(".shstrtab");
	while (plan->n < SECTIONS_MAX &&
	       (section = next_debug_section(elf, section, &header, &name, &data)) != NULL)
		plan_part(plan, &header, name, data);
}

/* Section 0, the parts, the names: then the headers of all. */
static void write_headers(struct plan *plan, uint8_t *bytes, uint64_t names_at, uint64_t headers_at)
{
	static const char own_name[] = ".shstrtab";
	Elf64_Ehdr ehdr = *elf64_getehdr(plan->elf);
	ehdr.e_phoff = ehdr.e_phnum = 0;
	ehdr.e_shoff = headers_at;
	ehdr.e_shentsize = sizeof(Elf64_Shdr);
	ehdr.e_shnum = (Elf64_Half)(plan->n + 2);
	ehdr.e_shstrndx = (Elf64_Half)(plan->n + 1);
	memcpy(bytes, &ehdr, sizeof(ehdr));
	Elf64_Shdr *headers = (void *)(bytes + headers_at);
	for (size_t i = 0; i < plan->n; i++) {
		headers[i + 1] = plan->parts[i].header;
		memcpy(bytes + names_at + headers[i + 1].sh_name, plan->parts[i].name,
		       strlen(plan->parts[i].name) + 1);
	}
	memcpy(bytes + names_at + 1, own_name, sizeof(own_name));
	headers[plan->n + 1] = (Elf64_Shdr){.sh_name = 1,
					    .sh_type = SHT_STRTAB,
					    .sh_offset = names_at,
					    .sh_size = plan->names_size,
					    .sh_addralign = 1};
}

static void fill(struct plan *plan, uint8_t *bytes)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct part *part = &plan->parts[i];
		uint8_t *to = bytes + part->header.sh_offset;
		if (!part->zstd)
			memcpy(to, part->bytes, part->size);
		else if (inflate_into(ELFCOMPRESS_ZSTD, part->bytes, part->size, to,
				      part->header.sh_size) != 0)
			/* half of a section would be taken for all of it */
			part->header.sh_type = SHT_NULL;
	}
}

int zstd_image_make(Elf *elf, uint64_t max, struct zstd_image *out)
{
	*out = (struct zstd_image){.bytes = NULL};
	if (!is_of_this_class(elf))
		return -ENOENT;
	CP_CLEANUP(cp_free) struct plan *plan = calloc(1, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	make_plan(plan, elf);
	if (!plan->any_zstd)
		return -ENOENT;
	const uint64_t names_at = plan->size;
	const uint64_t headers_at = names_at + aligned(plan->names_size);
	const uint64_t size = headers_at + (plan->n + 2) * sizeof(Elf64_Shdr);
	if (size > max)
		return -EFBIG;
	/* Zeros that take no memory until they are written: a claim costs nothing. */
	uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return -ENOMEM;
	fill(plan, bytes);
	write_headers(plan, bytes, names_at, headers_at);
	*out = (struct zstd_image){.bytes = bytes, .size = size};
	return 0;
}

void zstd_image_deinit(struct zstd_image *image)
{
	if (image->bytes)
		munmap(image->bytes, image->size);
	*image = (struct zstd_image){.bytes = NULL};
}
