#include "symbol.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* DT_GNU_HASH: this, then words of the filter, buckets, and the chains' hashes. */
struct gnu_hash {
	uint32_t n_buckets, first_symbol, n_filter, filter_shift;
};

struct object_symbols {
	const struct gnu_hash *hash;
	const Elf64_Sym *symbols;
	const char *names;
};

struct wanted {
	const char *name;
	uint32_t hash;
	bool passed_own; /* what comes before this library may be another's hook, which calls ours
			  */
	void *found;
};

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;
	for (; *name; name++)
		hash = hash * 33 + (uint8_t)*name;
	return hash;
}

/* The loader adds where the object is to these, but for objects whose section it cannot write. */
static const void *pointer_of(uint64_t value, uint64_t bias)
{
	return (const void *)(uintptr_t)(value < bias ? value + bias : value); // NOLINT
}

static bool read_dynamic(const struct dl_phdr_info *info, struct object_symbols *out)
{
	const Elf64_Dyn *at = NULL;
	const uint64_t bias = info->dlpi_addr;
	*out = (struct object_symbols){0};
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			at = (const void *)(uintptr_t)(bias + info->dlpi_phdr[i].p_vaddr); // NOLINT
	for (; at && at->d_tag != DT_NULL; at++) {
		if (at->d_tag == DT_GNU_HASH)
			out->hash = pointer_of(at->d_un.d_ptr, bias);
		else if (at->d_tag == DT_SYMTAB)
			out->symbols = pointer_of(at->d_un.d_ptr, bias);
		else if (at->d_tag == DT_STRTAB)
			out->names = pointer_of(at->d_un.d_ptr, bias);
	}
	return out->hash && out->symbols && out->names;
}

static bool is_definition(const Elf64_Sym *symbol)
{
	const unsigned bind = ELF64_ST_BIND(symbol->st_info);
	return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
	       (bind == STB_GLOBAL || bind == STB_WEAK) && symbol->st_value;
}

static const Elf64_Sym *look_up(const struct object_symbols *object, const struct wanted *wanted)
{
	const struct gnu_hash *table = object->hash;
	const uint64_t *filter = (const void *)(table + 1);
	const uint32_t *buckets = (const void *)(filter + table->n_filter);
	const uint32_t *chains = buckets + table->n_buckets;
	if (!table->n_buckets)
		return NULL;
	uint32_t at = buckets[wanted->hash % table->n_buckets];
	if (at < table->first_symbol)
		return NULL;
	for (;; at++) {
		const uint32_t hash = chains[at - table->first_symbol];
		const Elf64_Sym *symbol = &object->symbols[at];
		if ((hash | 1) == (wanted->hash | 1) && is_definition(symbol) &&
		    strcmp(object->names + symbol->st_name, wanted->name) == 0)
			return symbol;
		if (hash & 1)
			return NULL;
	}
}

static bool is_own(const struct dl_phdr_info *info)
{
	const uint64_t here = (uint64_t)(uintptr_t)&symbol_find - info->dlpi_addr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &info->dlpi_phdr[i];
		if (segment->p_type == PT_LOAD && here - segment->p_vaddr < segment->p_memsz)
			return true;
	}
	return false;
}

static int look_at_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	struct wanted *wanted = ctx;
	struct object_symbols object;
	if (!wanted->passed_own) {
		wanted->passed_own = is_own(info);
		return 0;
	}
	if (!read_dynamic(info, &object))
		return 0;
	const Elf64_Sym *symbol = look_up(&object, wanted);
	if (!symbol)
		return 0;
	wanted->found = (void *)(uintptr_t)(info->dlpi_addr + symbol->st_value); // NOLINT
	return 1;
}

void *symbol_find(const char *name)
{
	struct wanted wanted = {.name = name, .hash = hash_of(name)};
	dl_iterate_phdr(look_at_object, &wanted);
	return wanted.found;
}
