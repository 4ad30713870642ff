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

static struct code_object snapshot[MAX_OBJECTS];
static uint32_t n_snapshot;

static int add_to_snapshot(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	uint32_t *n = ctx;
	if (*n >= MAX_OBJECTS)
		return 1;
	struct code_object object = {.start = UINT64_MAX, .bias = info->dlpi_addr};
	object.name = info->dlpi_name;
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
	if (has_find_object())
		return;
	uint32_t n = 0;
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
	/* version 1; a pointer of 4 bytes, udata4, and pairs of datarel | sdata4 */
	if (!hdr || hdr[0] != 1 || (hdr[1] & 0x0f) != 0x0b || hdr[2] != 0x03 || hdr[3] != 0x3b)
		return NULL;
	const uint32_t n = read_u32(hdr + 8);
	if (n == 0 || object->end < at || (object->end - at) / 8 <= n)
		return NULL;
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

/* Run the program of one entry. Return: false when it has more than @n_rows rows. */
static bool compile(const struct code_object *object, const uint8_t *entry, uint64_t address,
		    struct cfi_row *rows, size_t n_rows, cfi_rule *rule)
{
	const struct cfi_section section = {
		.bytes =
			(const uint8_t *)(uintptr_t)object->start, // NOLINT: what the loader mapped
		.n = object->end - object->start,
		.svma = object->start,
	};
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
