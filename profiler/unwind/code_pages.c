#include "code_pages.h"

#include "base/cleanup.h"
#include "base/index.h"

#include <string.h>
#include <unistd.h>

void code_pages_forget(struct code_pages *pages)
{
	for (size_t i = 0; i < CODE_PAGES; i++)
		pages->pages[i].image = NULL;
}

/* The page that holds @file_off, read if it is not at hand. */
static const struct code_page *get_page(struct code_pages *pages, const struct code_file *file,
					uint64_t file_off)
{
	file_off -= file_off % CODE_PAGE_BYTES;
	const uint64_t hash = cp_hash_mix((uint64_t)(uintptr_t)file->image, file_off);
	struct code_page *page = &pages->pages[hash % CODE_PAGES];
	if (page->image == file->image && page->file_off == file_off &&
	    (page->n > 0 || page->pid == file->pid))
		return page;
	CP_CLEANUP(cp_close_fd) int fd = file->open(file->ctx);
	/* after that, which may have forgotten all */
	page->image = file->image;
	page->file_off = file_off;
	page->pid = file->pid;
	const ssize_t n = fd < 0 ? 0 : pread(fd, page->bytes, sizeof(page->bytes), (off_t)file_off);
	page->n = n > 0 ? (size_t)n : 0;
	return page;
}

bool code_pages_read(struct code_pages *pages, const struct code_file *file, uint64_t file_off,
		     void *out, size_t n)
{
	uint8_t *to = out;
	while (n > 0) {
		const struct code_page *page = get_page(pages, file, file_off);
		const size_t at = (size_t)(file_off % CODE_PAGE_BYTES);
		if (at >= page->n)
			return false;
		const size_t part = n < page->n - at ? n : page->n - at;
		memcpy(to, page->bytes + at, part);
		to += part;
		file_off += part;
		n -= part;
	}
	return true;
}
