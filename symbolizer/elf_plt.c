#include "elf_plt.h"

#include "base/array.h"

#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { STUB_SIZE = 16, NAME_MAX_BYTES = 4096 };

struct slot {
	uint64_t svma; /* in the global offset table */
	const char *name;
};

struct slots {
	struct slot *slots;
	size_t n, cap;
	size_t lazy_n; /* slots[0 .. lazy_n): .rela.plt in its order; lazy CET stubs push an index
			*/
};

/* @keep_all: also those without a name, so that the order is the section's */
static int read_relocations(struct slots *slots, Elf *elf, Elf_Scn *section,
			    const GElf_Shdr *header, bool keep_all)
{
	GElf_Shdr symbols_header;
	Elf_Scn *symbols = elf_getscn(elf, header->sh_link);
	if (!symbols || !gelf_getshdr(symbols, &symbols_header) ||
	    (symbols_header.sh_type != SHT_DYNSYM && symbols_header.sh_type != SHT_SYMTAB))
		return 0;
	Elf_Data *data = elf_getdata(section, NULL), *symbol_data = elf_getdata(symbols, NULL);
	size_t entry = gelf_fsize(elf, ELF_T_RELA, 1, EV_CURRENT);
	if (!data || !data->d_buf || !symbol_data || entry == 0 || data->d_size / entry > INT_MAX)
		return 0;
	for (int i = 0; i < (int)(data->d_size / entry); i++) {
		GElf_Rela rela;
		GElf_Sym symbol;
		const char *name = NULL;
		if (!gelf_getrela(data, i, &rela) || GELF_R_SYM(rela.r_info) > INT_MAX)
			continue;
		if (GELF_R_SYM(rela.r_info) != 0 &&
		    gelf_getsym(symbol_data, (int)GELF_R_SYM(rela.r_info), &symbol))
			name = elf_strptr(elf, symbols_header.sh_link, symbol.st_name);
		if (!name && !keep_all)
			continue;
		struct slot *slot = CP_ARRAY_PUSH(slots->slots, slots->n, slots->cap);
		if (!slot)
			return -ENOMEM;
		*slot = (struct slot){.svma = rela.r_offset, .name = name};
	}
	return 0;
}

static int read_slots(struct slots *slots, Elf *elf, size_t names)
{
	/* .rela.plt first, so that its entries are slots[0 .. lazy_n) until they are sorted */
	for (int lazy = 1; lazy >= 0; lazy--) {
		Elf_Scn *section = NULL;
		while ((section = elf_nextscn(elf, section)) != NULL) {
			GElf_Shdr header;
			/* what the loader applies; linkers may leave theirs in, by the million */
			if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
			    !(header.sh_flags & SHF_ALLOC))
				continue;
			const char *name = elf_strptr(elf, names, header.sh_name);
			bool is_lazy = name && strcmp(name, ".rela.plt") == 0;
			if (is_lazy == lazy &&
			    read_relocations(slots, elf, section, &header, is_lazy) < 0)
				return -ENOMEM;
		}
		if (lazy)
			slots->lazy_n = slots->n;
	}
	return 0;
}

static int compare_slots(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;
	return a->svma < b->svma ? -1 : a->svma > b->svma;
}

static int32_t little_endian_32(const uint8_t *bytes)
{
	return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
			 (uint32_t)bytes[3] << 24);
}

/* The function that a stub jumps to, or NULL. */
static const char *stub_target(const uint8_t *stub, size_t size, uint64_t svma,
			       const struct slots *lazy, const struct slots *sorted)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = 0;
	if (size >= sizeof(endbr64) && memcmp(stub, endbr64, sizeof(endbr64)) == 0)
		at += sizeof(endbr64);
	if (at < size && stub[at] == 0xf2) /* bnd */
		at++;
	if (at + 6 <= size && stub[at] == 0xff && stub[at + 1] == 0x25) { /* jmp *disp(%rip) */
		struct slot key = {.svma = svma + at + 6 +
					   (uint64_t)(int64_t)little_endian_32(stub + at + 2)};
		const struct slot *slot = sorted->n == 0 ? NULL
							 : bsearch(&key, sorted->slots, sorted->n,
								   sizeof(key), compare_slots);
		return slot ? slot->name : NULL;
	}
	if (at + 5 <= size && stub[at] == 0x68) { /* push index; jmp PLT0 */
		int32_t index = little_endian_32(stub + at + 1);
		return index >= 0 && (size_t)index < lazy->lazy_n ? lazy->slots[index].name : NULL;
	}
	return NULL;
}

static int add_stubs(struct symbol_table *table, struct interner *names, Elf_Scn *section,
		     const GElf_Shdr *header, const struct slots *lazy, const struct slots *sorted)
{
	Elf_Data *data = elf_getdata(section, NULL);
	if (!data || !data->d_buf)
		return 0;
	size_t step = header->sh_entsize == 8 ? 8 : STUB_SIZE;
	for (size_t at = 0; at + step <= data->d_size; at += step) {
		char name[NAME_MAX_BYTES];
		string_id id;
		uint64_t svma = header->sh_addr + at;
		const char *target =
			stub_target((uint8_t *)data->d_buf + at, step, svma, lazy, sorted);
		if (!target || !target[0] ||
		    (size_t)snprintf(name, sizeof(name), "%s@plt", target) >= sizeof(name))
			continue;
		if (interner_add(names, name, &id) < 0)
			return -ENOMEM;
		struct symbol symbol = {.start = svma,
					.end = svma + step,
					.name = interner_get(names, id),
					.sized = true};
		if (symbol_table_add(table, &symbol) < 0)
			return -ENOMEM;
	}
	return 0;
}

int elf_plt_add(struct symbol_table *table, struct interner *names, Elf *elf)
{
	GElf_Ehdr elf_header;
	size_t section_names;
	struct slots lazy = {0}, sorted = {0};
	if (!gelf_getehdr(elf, &elf_header) || elf_header.e_machine != EM_X86_64 ||
	    elf_getshdrstrndx(elf, &section_names) != 0)
		return 0;
	int rc = read_slots(&lazy, elf, section_names);
	if (rc == 0 && lazy.n > 0) {
		sorted = lazy;
		sorted.slots = malloc(lazy.n * sizeof(*lazy.slots));
		if (sorted.slots) {
			memcpy(sorted.slots, lazy.slots, lazy.n * sizeof(*lazy.slots));
			qsort(sorted.slots, sorted.n, sizeof(*sorted.slots), compare_slots);
		} else {
			rc = -ENOMEM;
		}
	}
	Elf_Scn *section = NULL;
	while (rc == 0 && (section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_PROGBITS ||
		    !(header.sh_flags & SHF_EXECINSTR))
			continue;
		const char *name = elf_strptr(elf, section_names, header.sh_name);
		if (name && strncmp(name, ".plt", 4) == 0)
			rc = add_stubs(table, names, section, &header, &lazy, &sorted);
	}
	free(lazy.slots);
	free(sorted.slots);
	return rc;
}
