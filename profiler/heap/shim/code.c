#include "code.h"

#include <dlfcn.h>
#include <link.h>

#include "spin.h"

enum {
	MAX_OBJECTS = 512, /* of the snapshot */
	FEW_ROWS = 96,     /* of a function's rows: on the stack */
	MANY_ROWS = 32768, /* in one place for all threads */
};

#ifdef DLFO_STRUCT_HAS_EH_DBASE
int _dl_find_object(void *address, struct dl_find_object *out) __attribute__((weak));
#endif

/*
 * The executable. Of one that is not position independent _dl_find_object() knows the segments one
 * by one, since there can be gaps between them.
 */
static struct code_object executable;

static struct code_object snapshot[MAX_OBJECTS];
static uint32_t n_snapshot;

static int add_to_snapshot(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	uint32_t *n = ctx;
	if (*n >= MAX_OBJECTS)
		return 1;
	struct code_object object = {
		.start = UINT64_MAX,
		.bias = info->dlpi_addr,
		.name = info->dlpi_name,
		.segments = info->dlpi_phdr,
		.n_segments = info->dlpi_phnum,
	};
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		const uint64_t start = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_LOAD) {
			object.start = start < object.start ? start : object.start;
			object.end = start + segment->p_memsz;
		} else if (segment->p_type == PT_GNU_EH_FRAME) {
			object.eh_frame_hdr = (const uint8_t *)(uintptr_t)start; // NOLINT
		}
	}
	snapshot[(*n)++] = object;
	return 0;
}

static int look_at_first(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	uint32_t none = 0;
	add_to_snapshot(info, 0, &none);
	executable = snapshot[0];
	return 1;
}

static bool has_find_object(void)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE
	return _dl_find_object != NULL;
#else
	return false;
#endif
}

void code_refresh(void)
{
	uint32_t n = 0;
	if (!executable.end)
		dl_iterate_phdr(look_at_first, NULL);
	if (has_find_object())
		return;
	__atomic_store_n(&n_snapshot, 0, __ATOMIC_RELEASE);
	dl_iterate_phdr(add_to_snapshot, &n);
	__atomic_store_n(&n_snapshot, n, __ATOMIC_RELEASE);
}

static bool find_in_snapshot(uint64_t address, struct code_object *out)
{
	const uint32_t n = __atomic_load_n(&n_snapshot, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < n; i++) {
		if (address >= snapshot[i].start && address < snapshot[i].end) {
			*out = snapshot[i];
			return true;
		}
	}
	return false;
}

bool code_find(uint64_t address, struct code_object *out)
{
	if (address >= executable.start && address < executable.end) {
		*out = executable;
		return true;
	}
#ifdef DLFO_STRUCT_HAS_EH_DBASE
	if (has_find_object()) {
		struct dl_find_object found;
		if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
			return false;
		*out = (struct code_object){
			.start = (uint64_t)(uintptr_t)found.dlfo_map_start,
			.end = (uint64_t)(uintptr_t)found.dlfo_map_end,
			.bias = found.dlfo_link_map->l_addr,
			.eh_frame_hdr = found.dlfo_eh_frame,
			.name = found.dlfo_link_map->l_name,
		};
		return true;
	}
#endif
	return find_in_snapshot(address, out);
}

static uint32_t read_u32(const uint8_t *at)
{
	uint32_t value;
	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

/* The entry of the search table (LSB, .eh_frame_hdr) for an address; NULL = none. */
static const uint8_t *search(const struct code_object *object, uint64_t address)
{
	const uint8_t *hdr = object->eh_frame_hdr;
	const uint64_t at = (uint64_t)(uintptr_t)hdr;
	/* version 1; pcrel | sdata4, udata4, and pairs of datarel | sdata4 */
	if (!hdr || hdr[0] != 1 || hdr[1] != 0x1b || hdr[2] != 0x03 || hdr[3] != 0x3b)
		return NULL;
	const uint32_t n = read_u32(hdr + 8);
	const uint8_t *table = hdr + 12;
	uint32_t low = 0, high = n;
	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const uint64_t start =
			at + (uint64_t)(int64_t)(int32_t)read_u32(table + (uint64_t)middle * 8);
		if (start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? table + (uint64_t)(low - 1) * 8 : NULL;
}

static void *no_room(void *ctx, void *block, size_t old_bytes, size_t new_bytes)
{
	(void)ctx;
	(void)block;
	(void)old_bytes;
	(void)new_bytes;
	return NULL;
}

/*
 * .eh_frame, from where the header says it begins to where the entry's FDE ends: its CIE lies
 * before. That it is all mapped is the loader's word, on which exceptions rely as well.
 */
static struct cfi_section section_of(const uint8_t *hdr, const uint8_t *entry)
{
	const uint8_t *start = hdr + 4 + (int32_t)read_u32(hdr + 4);
	const uint8_t *fde = hdr + (int32_t)read_u32(entry + 4);
	const uint32_t length = read_u32(fde);
	const uint8_t *end = fde + 4 + (length < UINT32_MAX - 16 ? length : 0);
	return (struct cfi_section){
		.bytes = start,
		.n = end > start ? (size_t)(end - start) : 0,
		.svma = (uint64_t)(uintptr_t)start,
	};
}

/* Run the program of one entry. Return: false when it has more than @n_rows rows. */
static bool compile(const struct code_object *object, const uint8_t *entry, uint64_t address,
		    struct cfi_row *rows, size_t n_rows, cfi_rule *rule)
{
	const struct cfi_section section = section_of(object->eh_frame_hdr, entry);
	struct cfi_span span = {0};
	struct cfi_build build = {
		.resize = no_room,
		.rows = rows,
		.cap_rows = n_rows,
		.spans = &span,
		.cap_spans = 1,
	};
	if (cfi_build_search_table(&build, &section, entry, 1,
				   (uint64_t)(uintptr_t)object->eh_frame_hdr) != CFI_OK)
		return false;
	*rule = CFI_NONE;
	if (build.n_spans == 0 || address < span.start || address >= span.end)
		return true;
	for (uint32_t i = 0; i < span.n_rows && span.start + rows[i].pc <= address; i++)
		*rule = rows[i].rule;
	return true;
}

static cfi_rule compile_large(const struct code_object *object, const uint8_t *entry,
			      uint64_t address)
{
	static struct cfi_row rows[MANY_ROWS];
	static struct spin lock;
	cfi_rule rule = CFI_UNSUPPORTED;
	if (!spin_take(&lock))
		return rule;
	if (!compile(object, entry, address, rows, MANY_ROWS, &rule))
		rule = CFI_UNSUPPORTED;
	spin_release(&lock);
	return rule;
}

cfi_rule code_rule(uint64_t address)
{
	struct code_object object;
	if (!code_find(address, &object))
		return CFI_NONE;
	const uint8_t *entry = search(&object, address);
	if (!entry)
		return CFI_NONE;
	struct cfi_row rows[FEW_ROWS];
	cfi_rule rule = CFI_NONE;
	if (compile(&object, entry, address, rows, FEW_ROWS, &rule))
		return rule;
	return compile_large(&object, entry, address);
}
