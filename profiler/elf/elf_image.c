#include "elf_image.h"

#include "base/cleanup.h"
#include "elf_tables.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_BYTES = 4096, /* of x86-64: what the kernel rounds a mapping's ends to */
	PHDRS_MAX = 4096,  /* real files have about a dozen; bounds what a hostile one costs */
	NOTES_BYTES_MAX = 1 << 20,
};

struct elf_image {
	struct elf_segment *segments;
	size_t n_segments;
	struct elf_build_id build_id;
	uint64_t entry;
	bool pie;
	bool is_go;
	struct elf_tables tables;
};

static int read_header(const struct elf_source *source, Elf64_Ehdr *ehdr)
{
	uint8_t ident[EI_NIDENT] = {0};
	const size_t n_ident = source->size < sizeof(ident) ? source->size : sizeof(ident);
	int ret = elf_source_read(source, 0, ident, n_ident);
	if (ret)
		return ret;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0)
		return cp_fail(source->err, -ENOEXEC, "%s: not an ELF file", source->name);
	if (source->size < sizeof(*ehdr))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: ends inside the ELF header",
			       source->name);
	ret = elf_source_read(source, 0, ehdr, sizeof(*ehdr));
	if (ret)
		return ret;
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr->e_machine != EM_X86_64)
		return cp_fail(source->err, -ENOEXEC, "%s: an ELF file, but not of 64-bit x86",
			       source->name);
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return cp_fail(source->err, -ENOEXEC,
			       "%s: neither an executable nor a shared library", source->name);
	if (ehdr->e_phnum == 0 || ehdr->e_phnum > PHDRS_MAX ||
	    ehdr->e_phentsize != sizeof(Elf64_Phdr) ||
	    !elf_source_holds(source, ehdr->e_phoff, (uint64_t)ehdr->e_phnum * sizeof(Elf64_Phdr)))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: no usable program headers",
			       source->name);
	return 0;
}

static int add_segment(struct elf_image *image, const struct elf_source *source,
		       const Elf64_Phdr *phdr)
{
	/* The upper bound keeps every later sum of two addresses or sizes from wrapping. */
	const uint64_t max = UINT64_MAX / 4;
	if (phdr->p_filesz > phdr->p_memsz || phdr->p_vaddr > max || phdr->p_memsz > max ||
	    !elf_source_holds(source, phdr->p_offset, phdr->p_filesz))
		return cp_fail(source->err, -EBADMSG,
			       "%s: damaged: a segment of %llu bytes at offset %llu in a file of "
			       "%llu",
			       source->name, (unsigned long long)phdr->p_filesz,
			       (unsigned long long)phdr->p_offset,
			       (unsigned long long)source->size);
	image->segments[image->n_segments++] = (struct elf_segment){
		.svma = phdr->p_vaddr,
		.file_off = phdr->p_offset,
		.file_size = phdr->p_filesz,
		.mem_size = phdr->p_memsz,
		.exec = phdr->p_flags & PF_X,
	};
	return 0;
}

/* Go's linker notes its own build-id: cmd/link/internal/ld/elf.go, ELF_NOTE_GOBUILDID_TAG. */
static bool is_go_build_id(const Elf64_Nhdr *nhdr, const uint8_t *name)
{
	enum { GO_BUILD_ID = 4 };
	return nhdr->n_type == GO_BUILD_ID && nhdr->n_namesz == sizeof("Go\0") &&
	       memcmp(name, "Go\0", sizeof("Go\0")) == 0;
}

/*
 * Find the build-ids in one note segment. A note that overruns the segment ends the search but does
 * not make the binary useless: everything else in it can still be right.
 */
static int read_notes(struct elf_image *image, const struct elf_source *source,
		      const Elf64_Phdr *phdr)
{
	if (phdr->p_filesz > NOTES_BYTES_MAX ||
	    !elf_source_holds(source, phdr->p_offset, phdr->p_filesz))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: notes outside the file",
			       source->name);
	CP_CLEANUP(cp_free) uint8_t *notes = malloc(phdr->p_filesz + 1);
	if (!notes)
		return cp_fail_nomem(source->err);
	const int ret = elf_source_read(source, phdr->p_offset, notes, phdr->p_filesz);
	if (ret)
		return ret;
	/* Note segments of 8-byte alignment (.note.gnu.property) pad to 8; all others to 4. */
	const size_t align = phdr->p_align == 8 ? 8 : 4;
	size_t at = 0;
	Elf64_Nhdr nhdr;
	while (phdr->p_filesz - at >= sizeof(nhdr)) {
		memcpy(&nhdr, notes + at, sizeof(nhdr));
		const uint64_t name = at + sizeof(nhdr);
		const uint64_t desc = (name + nhdr.n_namesz + align - 1) & ~(uint64_t)(align - 1);
		if (desc > phdr->p_filesz || nhdr.n_descsz > phdr->p_filesz - desc)
			break;
		image->is_go |= is_go_build_id(&nhdr, notes + name);
		if (image->build_id.n == 0 && nhdr.n_type == NT_GNU_BUILD_ID &&
		    nhdr.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    nhdr.n_descsz > 0 && nhdr.n_descsz <= ELF_BUILD_ID_MAX) {
			memcpy(image->build_id.bytes, notes + desc, nhdr.n_descsz);
			image->build_id.n = nhdr.n_descsz;
		}
		const uint64_t next = (desc + nhdr.n_descsz + align - 1) & ~(uint64_t)(align - 1);
		if (next >= phdr->p_filesz)
			break;
		at = next;
	}
	return 0;
}

static int read_image(struct elf_image *image, const struct elf_source *source)
{
	Elf64_Ehdr ehdr;
	int ret = read_header(source, &ehdr);
	if (ret)
		return ret;
	image->pie = ehdr.e_type == ET_DYN;
	image->entry = ehdr.e_entry;
	CP_CLEANUP(cp_free) Elf64_Phdr *phdrs = malloc(ehdr.e_phnum * sizeof(*phdrs));
	image->segments = calloc(ehdr.e_phnum, sizeof(*image->segments));
	if (!phdrs || !image->segments)
		return cp_fail_nomem(source->err);
	ret = elf_source_read(source, ehdr.e_phoff, phdrs, ehdr.e_phnum * sizeof(*phdrs));
	if (ret)
		return ret;
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			ret = add_segment(image, source, &phdrs[i]);
		else if (phdrs[i].p_type == PT_NOTE &&
			 (image->build_id.n == 0 ||
			  elf_source_holds(source, phdrs[i].p_offset, phdrs[i].p_filesz)))
			ret = read_notes(image, source, &phdrs[i]);
		if (ret)
			return ret;
	}
	/* after the segments, which say where the tables' bytes are */
	const Elf64_Phdr *index = NULL;
	for (size_t i = 0; i < ehdr.e_phnum && !index; i++)
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			index = &phdrs[i];
	return elf_tables_read(source, &ehdr, index, image->segments, image->n_segments,
			       &image->tables);
}

static int open_source(const struct elf_source *source, struct elf_image **out)
{
	struct elf_image *image = calloc(1, sizeof(*image));
	if (!image)
		return cp_fail_nomem(source->err);
	const int ret = read_image(image, source);
	if (ret) {
		elf_image_destroy(image);
		return ret;
	}
	*out = image;
	return 0;
}

int elf_image_open_fd(int fd, const char *name, struct elf_image **out, struct cp_err *err)
{
	struct elf_source source;
	const int ret = elf_source_of_fd(fd, name, err, &source);
	return ret ? ret : open_source(&source, out);
}

int elf_image_open_bytes(const void *bytes, size_t n, const char *name, struct elf_image **out,
			 struct cp_err *err)
{
	const struct elf_source source = {
		.fd = -1, .bytes = bytes, .size = n, .name = name, .err = err};
	return open_source(&source, out);
}

void elf_image_destroy(struct elf_image *image)
{
	if (!image)
		return;
	free(image->segments);
	elf_tables_deinit(&image->tables);
	free(image);
}

const struct elf_segment *elf_image_segments(const struct elf_image *image, size_t *n)
{
	*n = image->n_segments;
	return image->segments;
}

const struct elf_build_id *elf_image_build_id(const struct elf_image *image)
{
	return &image->build_id;
}

bool elf_image_is_pie(const struct elf_image *image)
{
	return image->pie;
}

bool elf_image_is_go(const struct elf_image *image)
{
	return image->is_go;
}

uint64_t elf_image_entry(const struct elf_image *image)
{
	return image->entry;
}

/*
 * How well a segment explains a mapping: the bytes they share, or more than any overlap when the
 * mapping is exactly the segment's pages. Neighbouring segments can share a page of the file (lld
 * maps it twice), so sharing some bytes alone does not say whose mapping it is.
 */
static uint64_t segment_score(const struct elf_segment *s, uint64_t file_off, uint64_t size)
{
	const uint64_t start = s->file_off, end = s->file_off + s->file_size;
	const uint64_t map_end = file_off + size;
	if (map_end <= start || end <= file_off)
		return 0;
	const uint64_t page_mask = ~(uint64_t)(PAGE_BYTES - 1);
	if (file_off == (start & page_mask) && map_end == ((end + PAGE_BYTES - 1) & page_mask))
		return UINT64_MAX;
	return (end < map_end ? end : map_end) - (start > file_off ? start : file_off);
}

const struct elf_segment *elf_image_segment_at(const struct elf_image *image, uint64_t file_off,
					       uint64_t size)
{
	const struct elf_segment *best = NULL;
	uint64_t best_score = 0;
	if (size > UINT64_MAX - file_off)
		return NULL;
	for (size_t i = 0; i < image->n_segments; i++) {
		const struct elf_segment *s = &image->segments[i];
		const uint64_t score = segment_score(s, file_off, size);
		/* Mappings are executable; a data segment explains one only if no code does. */
		const bool better = best && s->exec != best->exec ? s->exec : score > best_score;
		if (score > 0 && (!best || better)) {
			best = s;
			best_score = score;
		}
	}
	return best;
}

const uint8_t *elf_image_bytes(const struct elf_image *image, uint64_t svma, uint64_t size)
{
	const struct elf_window *const windows[] = {&image->tables.eh_frame, &image->tables.index};
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		const struct elf_window *w = windows[i];
		if (svma >= w->svma && svma - w->svma < w->size &&
		    size <= w->size - (svma - w->svma))
			return w->bytes + (svma - w->svma);
	}
	return NULL;
}

const uint8_t *elf_image_eh_frame(const struct elf_image *image, uint64_t *svma, uint64_t *size,
				  bool *is_section)
{
	const struct elf_window *w = &image->tables.eh_frame;
	if (!w->bytes)
		return NULL;
	*svma = w->svma;
	*size = w->size;
	*is_section = image->tables.eh_frame_is_section;
	return w->bytes;
}

const uint8_t *elf_image_debug_frame(const struct elf_image *image, uint64_t *size)
{
	*size = image->tables.debug_frame.size;
	return image->tables.debug_frame.bytes;
}

bool elf_image_eh_frame_hdr(const struct elf_image *image, struct elf_eh_frame_hdr *out)
{
	if (!image->tables.has_index)
		return false;
	*out = image->tables.hdr;
	return true;
}

void elf_image_set_debug_frame(struct elf_image *image, uint8_t *bytes, uint64_t size)
{
	free(image->tables.debug_frame.bytes);
	image->tables.debug_frame = (struct elf_window){.size = size, .bytes = bytes};
}

void elf_image_set_index(struct elf_image *image, const struct elf_eh_frame_hdr *hdr,
			 uint8_t *bytes, uint64_t size)
{
	elf_tables_deinit(&image->tables);
	image->tables.has_index = true;
	image->tables.hdr = *hdr;
	image->tables.index = (struct elf_window){.svma = hdr->svma, .size = size, .bytes = bytes};
}

void elf_image_drop_tables(struct elf_image *image)
{
	elf_tables_deinit(&image->tables);
}

int elf_image_read_tables(struct elf_image *image, int fd, const char *name)
{
	struct elf_image *again = NULL;
	const int ret = elf_image_open_fd(fd, name, &again, NULL);
	if (!again)
		return ret;
	elf_tables_deinit(&image->tables);
	image->tables = again->tables;
	again->tables = (struct elf_tables){.has_index = false};
	elf_image_destroy(again);
	return 0;
}

size_t elf_image_tables_bytes(const struct elf_image *image)
{
	return elf_tables_size_bytes(&image->tables);
}

size_t elf_image_size_bytes(const struct elf_image *image)
{
	return sizeof(*image) + image->n_segments * sizeof(*image->segments) +
	       elf_tables_size_bytes(&image->tables);
}

const char *elf_build_id_hex(const struct elf_build_id *id, char *buf)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;
	for (size_t i = 0; i < id->n; i++) {
		buf[n++] = digits[id->bytes[i] >> 4];
		buf[n++] = digits[id->bytes[i] & 15];
	}
	buf[n] = '\0';
	return buf;
}
