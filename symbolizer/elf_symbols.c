#include "elf_symbols.h"

#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <string.h>

/* Functions before labels, then by binding. */
static uint32_t rank_of(const GElf_Sym *symbol)
{
	unsigned int type = GELF_ST_TYPE(symbol->st_info), bind = GELF_ST_BIND(symbol->st_info);
	uint32_t rank = type == STT_FUNC || type == STT_GNU_IFUNC ? 4 : 0;
	if (bind == STB_GLOBAL || bind == STB_GNU_UNIQUE)
		rank += 2;
	else if (bind == STB_WEAK)
		rank += 1;
	return rank;
}

static bool is_function(const GElf_Sym *symbol)
{
	unsigned int type = GELF_ST_TYPE(symbol->st_info);
	return symbol->st_shndx != SHN_UNDEF &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

/* Those of a file that is not linked count from their section, which was given a place. */
static uint64_t place_of(Elf *elf, const GElf_Ehdr *file, const GElf_Sym *symbol)
{
	GElf_Shdr header;
	if (file->e_type != ET_REL || symbol->st_shndx >= SHN_LORESERVE)
		return 0;
	return gelf_getshdr(elf_getscn(elf, symbol->st_shndx), &header) ? header.sh_addr : 0;
}

static int add_section(struct symbol_table *table, Elf *elf, Elf_Scn *section,
		       const GElf_Shdr *header, const struct code_ranges *code)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t entry = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
	GElf_Ehdr file;
	if (!gelf_getehdr(elf, &file) || !data || !data->d_buf || entry == 0 ||
	    data->d_size / entry > INT_MAX)
		return 0;
	int n = (int)(data->d_size / entry);
	for (int i = 0; i < n; i++) {
		GElf_Sym symbol;
		if (!gelf_getsym(data, i, &symbol) || !is_function(&symbol))
			continue;
		symbol.st_value += place_of(elf, &file, &symbol);
		const struct code_range *range = code_ranges_find(code, symbol.st_value);
		const char *name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (!range || !name)
			continue;
		uint64_t room = range->end - symbol.st_value;
		bool sized = symbol.st_size > 0 && symbol.st_size <= room;
		struct symbol added = {.start = symbol.st_value,
				       .end = symbol.st_value + (sized ? symbol.st_size : room),
				       .name = name,
				       .rank = rank_of(&symbol),
				       .sized = sized};
		if (symbol_table_add(table, &added) < 0)
			return -ENOMEM;
	}
	return 0;
}

int elf_symbols_add(struct symbol_table *table, Elf *elf, const struct code_ranges *code,
		    bool *found)
{
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM))
			continue;
		*found = true;
		if (add_section(table, elf, section, &header, code) < 0)
			return -ENOMEM;
	}
	return 0;
}

bool elf_symbols_by_name(Elf *elf, const char *name, uint64_t *value)
{
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		GElf_Sym symbol;
		for (int i = 0; data && gelf_getsym(data, i, &symbol); i++) {
			const char *found = elf_strptr(elf, header.sh_link, symbol.st_name);
			if (!found || symbol.st_shndx == SHN_UNDEF || strcmp(found, name) != 0)
				continue;
			*value = symbol.st_value;
			return true;
		}
	}
	return false;
}
