#include "elf_bytes.h"

#include <gelf.h>
#include <string.h>

/*
 * The next section of a name after @section (NULL = from the first on) that has bytes.
 * @old: the old way of compressing, which kept its own name when inflated
 */
static Elf_Scn *next_named(Elf *elf, Elf_Scn *section, const char *name, GElf_Shdr *header,
			   bool *old)
{
	size_t names;
	if (elf_getshdrstrndx(elf, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		const char *here = gelf_getshdr(section, header)
					   ? elf_strptr(elf, names, header->sh_name)
					   : NULL;
		if (!here || header->sh_type == SHT_NOBITS)
			continue;
		*old = strncmp(here, ".z", 2) == 0 && strcmp(here + 2, name + 1) == 0;
		if (*old || strcmp(here, name) == 0)
			return section;
	}
	return NULL;
}

struct elf_bytes elf_bytes_find(Elf *elf, const char *name)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	bool old;
	const struct elf_bytes none = {.bytes = NULL};
	while ((section = next_named(elf, section, name, &header, &old)) != NULL) {
		if (header.sh_flags & SHF_COMPRESSED)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		if (!data || !data->d_buf)
			return none;
		if (old && data->d_size >= 4 && memcmp(data->d_buf, "ZLIB", 4) == 0)
			return none;
		return (struct elf_bytes){.bytes = data->d_buf, .n = data->d_size};
	}
	return none;
}

bool elf_bytes_exist(Elf *elf, const char *name)
{
	GElf_Shdr header;
	bool old;
	return next_named(elf, NULL, name, &header, &old) && header.sh_size > 0;
}

const char *elf_bytes_string(const struct elf_bytes *section, uint64_t offset)
{
	/* One look for all: a search for each string's end costs the whole section each time where
	 * a damaged file has one long string and a million names that are it. */
	if (offset >= section->n || section->bytes[section->n - 1] != '\0')
		return NULL;
	return (const char *)section->bytes + offset;
}
