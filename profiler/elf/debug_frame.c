#include "debug_frame.h"

#include "base/cleanup.h"
#include "debug_file.h"
#include "elf_sections.h"
#include "elf_tables.h"

#include <errno.h>
#include <string.h>

enum {
	LINK_BYTES_MAX = 4096 + 8, /* PATH_MAX, padding, the CRC */
	/* Matching by CRC reads all of the file, while samples wait: 45 ms for as much as this. */
	CRC_BYTES_MAX = 64 << 20,
};

static int read_header(const struct elf_source *source, Elf64_Ehdr *out)
{
	if (!elf_source_holds(source, 0, sizeof(*out)))
		return -ENOEXEC;
	const int ret = elf_source_read(source, 0, out, sizeof(*out));
	if (ret)
		return ret;
	return memcmp(out->e_ident, ELFMAG, SELFMAG) == 0 && out->e_ident[EI_CLASS] == ELFCLASS64 &&
			       out->e_ident[EI_DATA] == ELFDATA2LSB
		       ? 0
		       : -ENOEXEC;
}

/*
 * .gnu_debuglink: a name, padding to 4 bytes, the CRC (GDB manual, "Separate Debug Files").
 *
 * Return: the content, whose beginning is the name, NUL-terminated; NULL: none.
 */
static char *read_link(const struct elf_source *source, uint32_t *crc)
{
	Elf64_Ehdr ehdr;
	struct elf_sections sections;
	uint8_t *bytes = NULL;
	uint64_t n = 0;
	if (read_header(source, &ehdr) != 0 || elf_sections_read(source, &ehdr, &sections) != 0)
		return NULL;
	const Elf64_Shdr *header = elf_sections_find(&sections, ".gnu_debuglink");
	if (header)
		elf_section_read(source, header, false, LINK_BYTES_MAX, &bytes, &n);
	elf_sections_deinit(&sections);
	if (!bytes || n < 2 * sizeof(*crc) || !memchr(bytes, '\0', n - sizeof(*crc))) {
		free(bytes);
		return NULL;
	}
	memcpy(crc, bytes + n - sizeof(*crc), sizeof(*crc));
	return (char *)bytes;
}

int debug_frame_find(const struct debug_frame_search *search, uint8_t **out, uint64_t *n)
{
	struct elf_source source;
	int ret = elf_source_of_fd(search->fd, search->path, NULL, &source);
	if (ret)
		return ret;
	uint32_t crc = 0;
	CP_CLEANUP(cp_free) char *link = read_link(&source, &crc);
	const struct debug_file_search file_search = {
		.path = search->path,
		.root = search->root,
		.binary_fd = search->fd,
		.build_id = search->build_id,
		.link = link,
		.link_crc = crc,
		.crc_bytes_max = CRC_BYTES_MAX,
	};
	struct debug_file file;
	ret = debug_file_find(&file_search, &file);
	Elf64_Ehdr ehdr;
	struct elf_window window = {.svma = 0};
	if (ret == 0)
		ret = elf_source_of_fd(file.fd, file.path, NULL, &source);
	if (ret == 0)
		ret = read_header(&source, &ehdr);
	if (ret == 0)
		ret = elf_tables_read_debug_frame(&source, &ehdr, &window);
	debug_file_deinit(&file);
	if (ret)
		return ret == -ESTALE || ret == -ENOEXEC ? -ENOENT : ret;
	if (!window.bytes)
		return -ENOENT;
	*out = window.bytes;
	*n = window.size;
	return 0;
}
