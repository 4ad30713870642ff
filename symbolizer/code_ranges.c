#include "code_ranges.h"

#include "base/array.h"

#include <errno.h>
#include <gelf.h>
#include <limits.h>

static int add(struct code_ranges *code, uint64_t start, uint64_t size)
{
	if (size == 0 || start + size < start)
		return 0;
	struct code_range *range = CP_ARRAY_PUSH(code->ranges, code->n, code->cap);
	if (!range)
		return -ENOMEM;
	*range = (struct code_range){.start = start, .end = start + size};
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct code_range *a = left, *b = right;
	return a->start < b->start ? -1 : a->start > b->start;
}

static int read_sections(struct code_ranges *code, Elf *elf)
{
	Elf_Scn *section = NULL;
	const uint64_t wanted = SHF_ALLOC | SHF_EXECINSTR;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) && (header.sh_flags & wanted) == wanted &&
		    add(code, header.sh_addr, header.sh_size) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_segments(struct code_ranges *code, Elf *elf)
{
	size_t n;
	if (elf_getphdrnum(elf, &n) != 0)
		return 0;
	for (size_t i = 0; i < n && i < INT_MAX; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_LOAD &&
		    (segment.p_flags & PF_X) && add(code, segment.p_vaddr, segment.p_memsz) < 0)
			return -ENOMEM;
	}
	return 0;
}

int code_ranges_read(struct code_ranges *code, Elf *elf)
{
	*code = (struct code_ranges){0};
	int rc = read_sections(code, elf);
	if (rc == 0 && code->n == 0)
		rc = read_segments(code, elf);
	if (rc < 0)
		code_ranges_deinit(code);
	else if (code->n > 0)
		qsort(code->ranges, code->n, sizeof(*code->ranges), compare_ranges);
	return rc;
}

void code_ranges_deinit(struct code_ranges *code)
{
	free(code->ranges);
	*code = (struct code_ranges){0};
}

const struct code_range *code_ranges_find(const struct code_ranges *code, uint64_t svma)
{
	size_t low = 0, high = code->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (code->ranges[middle].start <= svma)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || code->ranges[low - 1].end <= svma)
		return NULL;
	return &code->ranges[low - 1];
}

bool code_ranges_overlap(const struct code_ranges *code, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < code->n; i++)
		if (code->ranges[i].start < end && start < code->ranges[i].end)
			return true;
	return false;
}
