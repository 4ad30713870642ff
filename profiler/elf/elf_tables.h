/*
 * elf_tables.h - the bytes of a binary's unwind tables, from every place they can be.
 *
 * .eh_frame is found by its section header where there is one that agrees with the program headers
 * (it then is all of it), else through PT_GNU_EH_FRAME, which stripped and section-less files have
 * too. .debug_frame has a section only. Unusable tables are left out: the binary does run.
 *
 * Depends on: base, elf_image.h, elf_source.h. Threads: any.
 */
#ifndef CPROF_ELF_ELF_TABLES_H
#define CPROF_ELF_ELF_TABLES_H

#include "elf_image.h"
#include "elf_source.h"

#include <elf.h>

/* The largest seen, a browser's, are 30 MB. What is larger is not read: unwound by frame pointer.
 */
enum { ELF_TABLES_BYTES_MAX = 64 << 20 };

/* A run of the loaded image's bytes. */
struct elf_window {
	uint64_t svma, size;
	uint8_t *bytes; /* owned */
};

struct elf_tables {
	bool has_index; /* hdr can be searched: sorted, all FDEs it names in eh_frame */
	bool eh_frame_is_section;
	struct elf_eh_frame_hdr hdr;
	struct elf_window index, eh_frame, debug_frame; /* the last: svma = 0, of no meaning */
};

/**
 * Read the tables of a binary.
 *
 * @index_phdr: PT_GNU_EH_FRAME, or NULL
 * Return: 0, also when there are none; -ENOMEM, -errno of reading.
 */
int elf_tables_read(const struct elf_source *source, const Elf64_Ehdr *ehdr,
		    const Elf64_Phdr *index_phdr, const struct elf_segment *segments,
		    size_t n_segments, struct elf_tables *out);

/** Read .debug_frame alone. */
int elf_tables_read_debug_frame(const struct elf_source *source, const Elf64_Ehdr *ehdr,
				struct elf_window *out);

void elf_tables_deinit(struct elf_tables *tables);

static inline uint64_t elf_tables_size_bytes(const struct elf_tables *tables)
{
	return tables->index.size + tables->eh_frame.size + tables->debug_frame.size;
}

#endif
