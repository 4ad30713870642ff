#include "elf_image.h"

#include "base/cleanup.h"
#include "eh_frame_hdr.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 4096, /* of x86-64: what the kernel rounds a mapping's ends to */
	PHDRS_MAX = 4096,  /* real files have about a dozen; bounds what a hostile one costs */
	NOTES_BYTES_MAX = 1 << 20,
	TABLES_BYTES_MAX = 256 << 20, /* the largest seen, a browser's, are 30 MB */
};

/* A run of the loaded image's bytes. */
struct window {
	uint64_t svma, size;
	uint8_t *bytes; /* owned */
};

struct elf_image {
	struct elf_segment *segments;
	size_t n_segments;
	struct elf_build_id build_id;
	uint64_t entry;
	bool pie;
	bool has_table;
	struct elf_eh_frame_hdr hdr;
	struct window hdr_window, eh_frame_window;
};

/* Where the bytes come from. */
struct source {
	int fd; /* -1: memory */
	const uint8_t *bytes;
	uint64_t size;
	const char *name;
	struct cp_err *err;
};

static bool in_source(const struct source *source, uint64_t file_off, uint64_t size)
{
	return file_off <= source->size && size <= source->size - file_off;
}

/* Read a range that lies inside the source. */
static int source_read(const struct source *source, uint64_t file_off, void *out, size_t size)
{
	if (source->fd < 0) {
		memcpy(out, source->bytes + file_off, size);
		return 0;
	}
	size_t done = 0;
	while (done < size) {
		const ssize_t got = pread(source->fd, (uint8_t *)out + done, size - done,
					  (off_t)(file_off + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cp_fail(source->err, -errno, "%s: cannot read: %s", source->name,
				       strerror(errno));
		if (got == 0)
			return cp_fail(source->err, -EBADMSG, "%s: truncated while it was read",
				       source->name);
		done += (size_t)got;
	}
	return 0;
}

static int read_header(const struct source *source, Elf64_Ehdr *ehdr)
{
	uint8_t ident[EI_NIDENT] = {0};
	const size_t n_ident = source->size < sizeof(ident) ? source->size : sizeof(ident);
	int ret = source_read(source, 0, ident, n_ident);
	if (ret)
		return ret;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0)
		return cp_fail(source->err, -ENOEXEC, "%s: not an ELF file", source->name);
	if (source->size < sizeof(*ehdr))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: ends inside the ELF header",
			       source->name);
	ret = source_read(source, 0, ehdr, sizeof(*ehdr));
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
	    !in_source(source, ehdr->e_phoff, (uint64_t)ehdr->e_phnum * sizeof(Elf64_Phdr)))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: no usable program headers",
			       source->name);
	return 0;
}

static int add_segment(struct elf_image *image, const struct source *source, const Elf64_Phdr *phdr)
{
	/* The upper bound keeps every later sum of two addresses or sizes from wrapping. */
	const uint64_t max = UINT64_MAX / 4;
	if (phdr->p_filesz > phdr->p_memsz || phdr->p_vaddr > max || phdr->p_memsz > max ||
	    !in_source(source, phdr->p_offset, phdr->p_filesz))
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

/*
 * Find the build-id in one note segment. A note that overruns the segment ends the search but does
 * not make the binary useless: everything else in it can still be right.
 */
static int read_notes(struct elf_image *image, const struct source *source, const Elf64_Phdr *phdr)
{
	if (phdr->p_filesz > NOTES_BYTES_MAX || !in_source(source, phdr->p_offset, phdr->p_filesz))
		return cp_fail(source->err, -EBADMSG, "%s: damaged: notes outside the file",
			       source->name);
	CP_CLEANUP(cp_free) uint8_t *notes = malloc(phdr->p_filesz + 1);
	if (!notes)
		return cp_fail_nomem(source->err);
	const int ret = source_read(source, phdr->p_offset, notes, phdr->p_filesz);
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
		if (nhdr.n_type == NT_GNU_BUILD_ID && nhdr.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    nhdr.n_descsz > 0 && nhdr.n_descsz <= ELF_BUILD_ID_MAX) {
			memcpy(image->build_id.bytes, notes + desc, nhdr.n_descsz);
			image->build_id.n = nhdr.n_descsz;
			break;
		}
		const uint64_t next = (desc + nhdr.n_descsz + align - 1) & ~(uint64_t)(align - 1);
		if (next >= phdr->p_filesz)
			break;
		at = next;
	}
	return 0;
}

/* The segment that holds @size bytes of file content at @svma. */
static const struct elf_segment *segment_of(const struct elf_image *image, uint64_t svma,
					    uint64_t size)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const struct elf_segment *s = &image->segments[i];
		if (svma >= s->svma && svma - s->svma <= s->file_size &&
		    size <= s->file_size - (svma - s->svma))
			return s;
	}
	return NULL;
}

static int read_window(const struct source *source, const struct elf_segment *segment,
		       uint64_t svma, uint64_t size, struct window *out)
{
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return cp_fail_nomem(source->err);
	const int ret =
		source_read(source, segment->file_off + (svma - segment->svma), bytes, size);
	if (ret) {
		free(bytes);
		return ret;
	}
	*out = (struct window){.svma = svma, .size = size, .bytes = bytes};
	return 0;
}

/*
 * Read .eh_frame: from its start, or the first FDE, to the end of the last FDE. Its size is in no
 * program header, and the segment goes on (lld puts all read-only data there). A CIE lies in front
 * of its FDEs, so the range holds them all.
 */
static int read_eh_frame(struct elf_image *image, const struct source *source,
			 uint64_t eh_frame_svma, uint64_t min_fde, uint64_t max_fde)
{
	const uint64_t start = eh_frame_svma < min_fde ? eh_frame_svma : min_fde;
	uint32_t length;
	const struct elf_segment *segment = segment_of(image, max_fde, sizeof(length));
	if (!segment || start < segment->svma || start > max_fde)
		return 0;
	int ret = source_read(source, segment->file_off + (max_fde - segment->svma), &length,
			      sizeof(length));
	if (ret)
		return ret;
	/* 0xffffffff announces the 64-bit format, which no compiler emits for .eh_frame. */
	if (length >= 0xfffffff0)
		return 0;
	const uint64_t size = max_fde - start + sizeof(length) + length;
	if (size > TABLES_BYTES_MAX || !segment_of(image, start, size))
		return 0;
	ret = read_window(source, segment, start, size, &image->eh_frame_window);
	if (ret)
		return ret;
	image->has_table = true;
	return 0;
}

/*
 * Read the unwind tables. Unusable ones leave the image without (its code then has no unwind
 * information, which every walk through it says): the binary does run, so it is not refused.
 */
static int read_tables(struct elf_image *image, const struct source *source, const Elf64_Phdr *phdr)
{
	const struct elf_segment *segment = segment_of(image, phdr->p_vaddr, phdr->p_filesz);
	if (!segment || phdr->p_filesz == 0 || phdr->p_filesz > TABLES_BYTES_MAX)
		return 0;
	int ret = read_window(source, segment, phdr->p_vaddr, phdr->p_filesz, &image->hdr_window);
	if (ret)
		return ret;
	const struct window *w = &image->hdr_window;
	struct eh_frame_hdr_layout layout;
	uint64_t min_fde, max_fde;
	if (!eh_frame_hdr_decode(w->bytes, w->size, w->svma, &layout) ||
	    !eh_frame_hdr_fde_range(w->bytes, w->svma, &layout, &min_fde, &max_fde))
		return 0;
	image->hdr = (struct elf_eh_frame_hdr){
		.svma = w->svma,
		.table_svma = w->svma + layout.table_off,
		.n_entries = layout.n_entries,
	};
	return read_eh_frame(image, source, layout.eh_frame_svma, min_fde, max_fde);
}

static int read_image(struct elf_image *image, const struct source *source)
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
	ret = source_read(source, ehdr.e_phoff, phdrs, ehdr.e_phnum * sizeof(*phdrs));
	if (ret)
		return ret;
	for (size_t i = 0; i < ehdr.e_phnum; i++) {
		if (phdrs[i].p_type == PT_LOAD)
			ret = add_segment(image, source, &phdrs[i]);
		else if (phdrs[i].p_type == PT_NOTE && image->build_id.n == 0)
			ret = read_notes(image, source, &phdrs[i]);
		if (ret)
			return ret;
	}
	/* after the segments, which say where the tables' bytes are */
	for (size_t i = 0; i < ehdr.e_phnum; i++)
		if (phdrs[i].p_type == PT_GNU_EH_FRAME)
			return read_tables(image, source, &phdrs[i]);
	return 0;
}

static int open_source(const struct source *source, struct elf_image **out)
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
	struct stat st;
	if (fstat(fd, &st) < 0)
		return cp_fail(err, -errno, "%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return cp_fail(err, -ENOEXEC, "%s: not a regular file", name);
	const struct source source = {
		.fd = fd, .size = (uint64_t)st.st_size, .name = name, .err = err};
	return open_source(&source, out);
}

int elf_image_open_bytes(const void *bytes, size_t n, const char *name, struct elf_image **out,
			 struct cp_err *err)
{
	const struct source source = {
		.fd = -1, .bytes = bytes, .size = n, .name = name, .err = err};
	return open_source(&source, out);
}

void elf_image_destroy(struct elf_image *image)
{
	if (!image)
		return;
	free(image->segments);
	free(image->hdr_window.bytes);
	free(image->eh_frame_window.bytes);
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
	const struct window *const windows[] = {&image->eh_frame_window, &image->hdr_window};
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		const struct window *w = windows[i];
		if (svma >= w->svma && svma - w->svma < w->size &&
		    size <= w->size - (svma - w->svma))
			return w->bytes + (svma - w->svma);
	}
	return NULL;
}

const uint8_t *elf_image_eh_frame(const struct elf_image *image, uint64_t *svma, uint64_t *size)
{
	if (!image->has_table)
		return NULL;
	*svma = image->eh_frame_window.svma;
	*size = image->eh_frame_window.size;
	return image->eh_frame_window.bytes;
}

bool elf_image_eh_frame_hdr(const struct elf_image *image, struct elf_eh_frame_hdr *out)
{
	if (!image->has_table)
		return false;
	*out = image->hdr;
	return true;
}

size_t elf_image_size_bytes(const struct elf_image *image)
{
	return sizeof(*image) + image->n_segments * sizeof(*image->segments) +
	       image->hdr_window.size + image->eh_frame_window.size;
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
