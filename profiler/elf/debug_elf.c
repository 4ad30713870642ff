#include "debug_elf.h"

#include "base/cleanup.h"
#include "map_guard.h"

#include <errno.h>
#include <unistd.h>

/* What inflated sections of one file may take: half of the machine's memory. */
static uint64_t inflated_bytes_max(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes / 2 : 1 << 30;
}

static int choose_dwarf(struct debug_elf *file)
{
	const uint64_t max = inflated_bytes_max();
	int rc = zstd_image_claimed_bytes(file->elf) > max
			 ? -EFBIG
			 : zstd_image_make(file->elf, max, &file->image);
	file->dwarf = NULL;
	if (rc == -EFBIG)
		file->trouble = "its debug sections, inflated, would take more than half of this "
				"machine's memory";
	else if (rc == 0)
		file->dwarf = elf_memory((char *)file->image.bytes, file->image.size);
	else if (rc == -ENOENT)
		file->dwarf = file->elf;
	return rc == -ENOMEM ? rc : 0;
}

static int open_elf(struct debug_elf *file)
{
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF)
		return -ENOEXEC;
	return choose_dwarf(file);
}

int debug_elf_open(int fd, struct debug_elf *out)
{
	*out = DEBUG_ELF_EMPTY;
	elf_version(EV_CURRENT);
	if (fstat(fd, &out->opened) < 0)
		return -ENOEXEC;
	map_guard_open_begin();
	out->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	size_t n = 0;
	const char *bytes = out->elf ? elf_rawfile(out->elf, &n) : NULL;
	if (map_guard_open_end())
		bytes = NULL;
	out->guard = map_guard_add(bytes, n);
	const int rc = bytes ? open_elf(out) : -ENOEXEC;
	if (rc < 0)
		debug_elf_deinit(out);
	else
		out->fd = fd;
	return rc;
}

int debug_elf_open_memory(void *bytes, size_t n, struct debug_elf *out)
{
	*out = DEBUG_ELF_EMPTY;
	elf_version(EV_CURRENT);
	out->elf = elf_memory(bytes, n);
	const int rc = open_elf(out);
	if (rc < 0)
		debug_elf_deinit(out);
	return rc;
}

void debug_elf_deinit(struct debug_elf *file)
{
	if (!file)
		return;
	map_guard_remove(file->guard);
	if (file->dwarf != file->elf)
		elf_end(file->dwarf);
	elf_end(file->elf);
	zstd_image_deinit(&file->image);
	cp_close_fd(&file->fd);
	*file = DEBUG_ELF_EMPTY;
}

bool debug_elf_changed(const struct debug_elf *file)
{
	struct stat now;
	if (file->fd < 0)
		return false;
	return map_guard_hit(file->guard) || fstat(file->fd, &now) < 0 ||
	       now.st_size != file->opened.st_size ||
	       now.st_mtim.tv_sec != file->opened.st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != file->opened.st_mtim.tv_nsec;
}

bool debug_elf_touched(const struct debug_elf *file)
{
	struct stat now;
	return debug_elf_changed(file) || fstat(file->fd, &now) < 0 ||
	       now.st_ctim.tv_sec != file->opened.st_ctim.tv_sec ||
	       now.st_ctim.tv_nsec != file->opened.st_ctim.tv_nsec;
}
