#include "object_file.h"

#include "base/cleanup.h"
#include "elf/map_guard.h"
#include "elf_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

bool object_file_is(Elf *elf)
{
	GElf_Ehdr header;
	return gelf_getehdr(elf, &header) && header.e_type == ET_REL;
}

/* Debug files are found by others. */
static int find_none(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		     const char *file, const char *link, GElf_Word crc, char **debug)
{
	(void)module, (void)user, (void)name, (void)base;
	(void)file, (void)link, (void)crc, (void)debug;
	return -1;
}

static int find_no_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		       char **path, Elf **elf)
{
	(void)module, (void)user, (void)name, (void)base, (void)path, (void)elf;
	return -1;
}

/* libdwfl empties the tables that it has applied; what it does not know it leaves. */
static bool are_left(Elf *elf)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header, target;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		if (gelf_getshdr(section, &header) && header.sh_size > 0 &&
		    (header.sh_type == SHT_RELA || header.sh_type == SHT_REL) &&
		    gelf_getshdr(elf_getscn(elf, header.sh_info), &target) &&
		    !(target.sh_flags & SHF_ALLOC))
			return true;
	}
	return false;
}

/*
 * The file once more, with relocations applied: in a private mapping, so that it stays as it is.
 *
 * @damaged: not all of them could be
 */
static Elf *relocated(Dwfl *dwfl, int fd, bool *damaged)
{
	GElf_Addr bias;
	Dwarf_Addr dwarf_bias;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return NULL;
	Dwfl_Module *module = dwfl_report_elf(dwfl, "", "", copy, 0, false);
	if (!module) {
		close(copy);
		return NULL;
	}
	dwfl_report_end(dwfl, NULL, NULL);
	const bool all = dwfl_module_getdwarf(module, &dwarf_bias) != NULL; /* relocates it */
	Elf *elf = dwfl_module_getelf(module, &bias);
	*damaged = elf && elf_bytes_exist(elf, ".debug_info") && (!all || are_left(elf));
	return elf;
}

int object_file_lay_out(struct debug_elf *file, Dwfl **out)
{
	static const Dwfl_Callbacks callbacks = {.find_elf = find_no_elf,
						 .find_debuginfo = find_none,
						 .section_address = dwfl_offline_section_address};
	const bool inflated = file->dwarf != file->elf;
	bool damaged = false;
	Dwfl *dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return -ENOMEM;
	size_t n = 0;
	map_guard_open_begin();
	Elf *elf = relocated(dwfl, file->fd, &damaged);
	const char *bytes = elf ? elf_rawfile(elf, &n) : NULL;
	elf = map_guard_open_end() || !bytes ? NULL : elf_begin(-1, ELF_C_READ_MMAP, elf);
	if (!elf) {
		dwfl_end(dwfl);
		return -ENOEXEC;
	}
	map_guard_remove(file->guard);
	if (file->dwarf != file->elf)
		elf_end(file->dwarf);
	elf_end(file->elf);
	file->guard = map_guard_add(bytes, n);
	file->elf = elf;
	file->dwarf = inflated || damaged ? NULL : elf;
	if (damaged)
		file->trouble =
			"not linked, and the relocations of its debug information are damaged, "
			"or of a kind that libdw does not know: link it";
	if (inflated && !file->trouble[0])
		file->trouble = "not linked, and its debug sections are compressed by zstd: link "
				"it, or inflate them (objcopy --decompress-debug-sections)";
	*out = dwfl;
	return 0;
}
