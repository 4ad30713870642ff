#include "elf_tables.h"

#include "eh_frame_hdr.h"
#include "elf_sections.h"

#include <errno.h>
#include <stdlib.h>

/* What reading goes by. */
struct finder {
	const struct elf_source *source;
	const struct elf_segment *segments;
	size_t n_segments;
	struct elf_sections sections;
	struct eh_frame_hdr_layout layout;
	bool has_layout;
	uint64_t min_fde, max_fde; /* that the index names; valid with index_sorted */
	bool index_sorted;
};

void elf_tables_deinit(struct elf_tables *tables)
{
	free(tables->index.bytes);
	free(tables->eh_frame.bytes);
	free(tables->debug_frame.bytes);
	*tables = (struct elf_tables){.has_index = false};
}

/* The segment that holds @size bytes of file content at @svma. */
static const struct elf_segment *segment_of(const struct finder *finder, uint64_t svma,
					    uint64_t size)
{
	for (size_t i = 0; i < finder->n_segments; i++) {
		const struct elf_segment *s = &finder->segments[i];
		if (svma >= s->svma && svma - s->svma <= s->file_size &&
		    size <= s->file_size - (svma - s->svma))
			return s;
	}
	return NULL;
}

static int read_window(const struct finder *finder, const struct elf_segment *segment,
		       uint64_t svma, uint64_t size, struct elf_window *out)
{
	uint8_t *bytes;
	const int ret = elf_source_read_new(
		finder->source, segment->file_off + (svma - segment->svma), size, &bytes);
	if (ret)
		return ret;
	*out = (struct elf_window){.svma = svma, .size = size, .bytes = bytes};
	return 0;
}

static int read_index(struct finder *finder, const Elf64_Phdr *phdr, struct elf_tables *out)
{
	const struct elf_segment *segment = segment_of(finder, phdr->p_vaddr, phdr->p_filesz);
	if (!segment || phdr->p_filesz == 0 || phdr->p_filesz > ELF_TABLES_BYTES_MAX)
		return 0;
	const int ret = read_window(finder, segment, phdr->p_vaddr, phdr->p_filesz, &out->index);
	if (ret)
		return ret;
	const struct elf_window *w = &out->index;
	finder->has_layout = eh_frame_hdr_decode(w->bytes, w->size, w->svma, &finder->layout);
	if (!finder->has_layout || finder->layout.n_entries == 0)
		return 0;
	out->hdr = (struct elf_eh_frame_hdr){
		.svma = w->svma,
		.table_svma = w->svma + finder->layout.table_off,
		.n_entries = finder->layout.n_entries,
	};
	finder->index_sorted = eh_frame_hdr_fde_range(w->bytes, w->svma, &finder->layout,
						      &finder->min_fde, &finder->max_fde);
	return 0;
}

/*
 * By section header, which has to agree with what the program is loaded and unwound by: it lies in
 * a segment, at the segment's place in the file, and where the index says that it begins.
 */
static int read_by_section(const struct finder *finder, struct elf_tables *out)
{
	const Elf64_Shdr *header = elf_sections_find(&finder->sections, ".eh_frame");
	if (!header || !(header->sh_flags & SHF_ALLOC) || header->sh_flags & SHF_COMPRESSED ||
	    header->sh_size > ELF_TABLES_BYTES_MAX)
		return 0;
	const struct elf_segment *segment = segment_of(finder, header->sh_addr, header->sh_size);
	if (!segment || header->sh_addr - segment->svma + segment->file_off != header->sh_offset ||
	    (finder->has_layout && finder->layout.eh_frame_svma != header->sh_addr))
		return 0;
	const int ret =
		read_window(finder, segment, header->sh_addr, header->sh_size, &out->eh_frame);
	out->eh_frame_is_section = ret == 0;
	return ret;
}

/* Where an FDE ends; 0 when that cannot be told. */
static int read_fde_end(const struct finder *finder, uint64_t fde_svma, uint64_t *out)
{
	uint32_t length;
	const struct elf_segment *segment = segment_of(finder, fde_svma, sizeof(length));
	*out = 0;
	if (!segment)
		return 0;
	const int ret =
		elf_source_read(finder->source, segment->file_off + (fde_svma - segment->svma),
				&length, sizeof(length));
	/* 0xffffffff announces the 64-bit format, which no compiler emits for .eh_frame. */
	if (ret == 0 && length < 0xfffffff0)
		*out = fde_svma + sizeof(length) + length;
	return ret;
}

/*
 * Through the index: from its start, or the first FDE, to the end of the last FDE. Its size is in
 * no program header, and the segment goes on (lld puts all read-only data there). A CIE lies in
 * front of its FDEs, so the range holds them all.
 */
static int read_by_index(const struct finder *finder, struct elf_tables *out)
{
	uint64_t end;
	const int ret = read_fde_end(finder, finder->max_fde, &end);
	if (ret || end == 0)
		return ret;
	const uint64_t eh_frame = finder->layout.eh_frame_svma;
	const uint64_t start = eh_frame < finder->min_fde ? eh_frame : finder->min_fde;
	if (start > finder->max_fde || end - start > ELF_TABLES_BYTES_MAX)
		return 0;
	const struct elf_segment *segment = segment_of(finder, start, end - start);
	return segment ? read_window(finder, segment, start, end - start, &out->eh_frame) : 0;
}

static int check_index(const struct finder *finder, struct elf_tables *out)
{
	uint64_t end;
	const struct elf_window *w = &out->eh_frame;
	if (!finder->index_sorted || !w->bytes)
		return 0;
	const int ret = read_fde_end(finder, finder->max_fde, &end);
	out->has_index =
		ret == 0 && end != 0 && finder->min_fde >= w->svma && end - w->svma <= w->size;
	return ret;
}

static int read_debug_frame(const struct elf_source *source, const struct elf_sections *sections,
			    struct elf_window *out)
{
	const Elf64_Shdr *header = elf_sections_find(sections, ".debug_frame");
	const bool zdebug = !header;
	if (zdebug)
		header = elf_sections_find(sections, ".zdebug_frame");
	if (!header)
		return 0;
	struct elf_window window = {.svma = 0};
	const int ret = elf_section_read(source, header, zdebug, ELF_TABLES_BYTES_MAX,
					 &window.bytes, &window.size);
	if (ret == 0)
		*out = window;
	return ret == -EFBIG || ret == -EBADMSG || ret == -ENOTSUP ? 0 : ret;
}

int elf_tables_read_debug_frame(const struct elf_source *source, const Elf64_Ehdr *ehdr,
				struct elf_window *out)
{
	struct elf_sections sections;
	int ret = elf_sections_read(source, ehdr, &sections);
	if (ret)
		return ret;
	ret = read_debug_frame(source, &sections, out);
	elf_sections_deinit(&sections);
	return ret;
}

int elf_tables_read(const struct elf_source *source, const Elf64_Ehdr *ehdr,
		    const Elf64_Phdr *index_phdr, const struct elf_segment *segments,
		    size_t n_segments, struct elf_tables *out)
{
	struct elf_tables tables = {.has_index = false};
	struct finder finder = {.source = source, .segments = segments, .n_segments = n_segments};
	int ret = elf_sections_read(source, ehdr, &finder.sections);
	if (ret == 0 && index_phdr)
		ret = read_index(&finder, index_phdr, &tables);
	if (ret == 0)
		ret = read_by_section(&finder, &tables);
	if (ret == 0 && !tables.eh_frame.bytes && finder.index_sorted)
		ret = read_by_index(&finder, &tables);
	if (ret == 0)
		ret = check_index(&finder, &tables);
	if (ret == 0)
		ret = read_debug_frame(source, &finder.sections, &tables.debug_frame);
	elf_sections_deinit(&finder.sections);
	if (ret) {
		elf_tables_deinit(&tables);
		return ret;
	}
	*out = tables;
	return 0;
}
