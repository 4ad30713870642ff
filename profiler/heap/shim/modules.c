#include "modules.h"

#include <elf.h>

#include "code.h"

bool module_table_init(struct module_table *table, struct heap_header *header, void *modules,
		       bool populated)
{
	*table = (struct module_table){.header = header};
	region_init(&table->modules, modules,
		    (uint64_t)header->max_modules * sizeof(struct heap_module), populated);
	if (!region_need(&table->modules, sizeof(struct heap_module)))
		return false;
	header->n_modules = 1;
	return true;
}

static struct heap_module *modules_of(const struct module_table *table)
{
	return (struct heap_module *)(void *)table->modules.base;
}

static uint64_t align4(uint64_t bytes)
{
	return (bytes + 3) & ~UINT64_C(3);
}

/* The build-id among the notes at @at. */
static bool read_notes(const uint8_t *at, uint64_t n, struct heap_module *module)
{
	while (n >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		__builtin_memcpy(&note, at, sizeof(note));
		const uint64_t name = sizeof(note);
		const uint64_t desc = name + align4(note.n_namesz);
		const uint64_t end = desc + align4(note.n_descsz);
		if (end > n)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    __builtin_memcmp(at + name, "GNU", 4) == 0) {
			const uint32_t bytes = note.n_descsz < HEAP_BUILD_ID_BYTES
						       ? note.n_descsz
						       : HEAP_BUILD_ID_BYTES;
			__builtin_memcpy(module->build_id, at + desc, bytes);
			module->build_id_bytes = bytes;
			return true;
		}
		at += end;
		n -= end;
	}
	return false;
}

/* Of an object whose headers are not known: linkers put them at the start of the first segment. */
static bool find_segments(const struct code_object *object, const Elf64_Phdr **segments,
			  uint32_t *n_segments)
{
	const uint8_t *image = (const uint8_t *)(uintptr_t)object->start; // NOLINT
	const uint64_t size = object->end - object->start;
	Elf64_Ehdr header;
	if (size < sizeof(header))
		return false;
	__builtin_memcpy(&header, image, sizeof(header));
	if (__builtin_memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > size ||
	    (size - header.e_phoff) / sizeof(Elf64_Phdr) < header.e_phnum)
		return false;
	*segments = (const Elf64_Phdr *)(const void *)(image + header.e_phoff);
	*n_segments = header.e_phnum;
	return true;
}

static void read_build_id(const struct code_object *object, struct heap_module *module)
{
	const Elf64_Phdr *segments = object->segments;
	uint32_t n = object->n_segments;
	if (!segments && !find_segments(object, &segments, &n))
		return;
	for (uint32_t i = 0; i < n; i++) {
		const Elf64_Phdr *segment = &segments[i];
		const uint64_t at = object->bias + segment->p_vaddr;
		if (segment->p_type == PT_NOTE && at >= object->start && at < object->end &&
		    object->end - at >= segment->p_memsz &&
		    read_notes((const uint8_t *)(uintptr_t)at, segment->p_memsz, module)) // NOLINT
			return;
	}
}

static void copy_path(char *to, const char *from)
{
	uint32_t n = 0;
	while (n < HEAP_PATH_BYTES - 1 && from[n]) {
		to[n] = from[n];
		n++;
	}
	to[n] = '\0';
}

static void describe(const struct module_table *table, const struct code_object *object,
		     struct heap_module *out)
{
	*out = (struct heap_module){
		.start = object->start,
		.end = object->end,
		.bias = object->bias,
		.epoch = table->header->module_epoch,
	};
	copy_path(out->path, object->name[0] ? object->name : table->header->exe);
	read_build_id(object, out);
}

static bool is_same(const struct heap_module *module, const struct code_object *object)
{
	return module->start == object->start && module->end == object->end &&
	       module->bias == object->bias;
}

/*
 * One that was unloaded and has come back to its place, as plugins do that are loaded for each job:
 * its stacks go on, or they would fill the tables in a day.
 */
static uint32_t find_buried(struct module_table *table, const struct code_object *object,
			    const struct heap_module *wanted)
{
	const struct heap_module *modules = modules_of(table);
	for (uint32_t i = table->header->n_modules; wanted->build_id_bytes && i-- > 1;) {
		const struct heap_module *module = &modules[i];
		if (module_is_dead(table, (uint16_t)i) && is_same(module, object) &&
		    module->build_id_bytes == wanted->build_id_bytes &&
		    __builtin_memcmp(module->build_id, wanted->build_id, wanted->build_id_bytes) ==
			    0 &&
		    __builtin_memcmp(module->path, wanted->path, sizeof(wanted->path)) == 0)
			return i;
	}
	return 0;
}

static uint16_t add(struct module_table *table, const struct code_object *object)
{
	struct heap_header *header = table->header;
	const uint32_t at = header->n_modules;
	struct heap_module module;
	describe(table, object, &module);
	const uint32_t buried = find_buried(table, object, &module);
	if (buried) {
		__atomic_store_n(&table->dead[buried], 0, __ATOMIC_RELAXED);
		return (uint16_t)buried;
	}
	if (at >= header->max_modules ||
	    !region_need(&table->modules, (uint64_t)(at + 1) * sizeof(struct heap_module))) {
		__atomic_fetch_add(&header->losses[HEAP_LOSS_MODULES_FULL], 1, __ATOMIC_RELAXED);
		return 0;
	}
	modules_of(table)[at] = module;
	__atomic_store_n(&header->n_modules, at + 1, __ATOMIC_RELEASE);
	return (uint16_t)at;
}

static void bury(struct module_table *table, uint32_t module)
{
	__atomic_store_n(&table->dead[module], 1, __ATOMIC_RELAXED);
}

static void next_epoch(struct module_table *table)
{
	__atomic_fetch_add(&table->header->module_epoch, 1, __ATOMIC_RELEASE);
}

uint16_t module_table_find(struct module_table *table, uint64_t address)
{
	struct code_object object;
	if (!code_find(address, &object))
		return 0;
	const struct heap_module *modules = modules_of(table);
	if (table->last && is_same(&modules[table->last], &object) &&
	    !module_is_dead(table, (uint16_t)table->last))
		return (uint16_t)table->last;
	for (uint32_t i = table->header->n_modules; i-- > 1;) {
		if (module_is_dead(table, (uint16_t)i))
			continue;
		if (is_same(&modules[i], &object)) {
			table->last = i;
			return (uint16_t)i;
		}
		/* unloaded unseen, by libc itself: NSS, iconv */
		if (modules[i].start < object.end && object.start < modules[i].end) {
			bury(table, i);
			next_epoch(table);
		}
	}
	table->last = add(table, &object);
	return (uint16_t)table->last;
}

unsigned module_table_bury(struct module_table *table)
{
	const uint32_t n = __atomic_load_n(&table->header->n_modules, __ATOMIC_ACQUIRE);
	unsigned n_dead = 0;
	for (uint32_t i = 1; i < n; i++) {
		struct code_object object;
		const struct heap_module *module = &modules_of(table)[i];
		if (module_is_dead(table, (uint16_t)i))
			continue;
		if (code_find(module->start, &object) && is_same(module, &object))
			continue;
		bury(table, i);
		n_dead++;
	}
	if (n_dead)
		next_epoch(table);
	return n_dead;
}
