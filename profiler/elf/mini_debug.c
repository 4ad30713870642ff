#include "mini_debug.h"

#include "inflate.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

/* The largest programs' are 10 MB. */
enum { MINI_DEBUG_BYTES_MAX = 256 << 20 };

int mini_debug_read(Elf *elf, uint8_t **out, uint64_t *n)
{
	size_t names;
	Elf_Scn *section = NULL;
	if (elf_getshdrstrndx(elf, &names) != 0)
		return -ENOENT;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, names, header.sh_name)
					   : NULL;
		if (!name || strcmp(name, ".gnu_debugdata") != 0 || header.sh_type == SHT_NOBITS)
			continue;
		const Elf_Data *data = elf_rawdata(section, NULL);
		return data && data->d_buf
			       ? inflate_xz(data->d_buf, data->d_size, MINI_DEBUG_BYTES_MAX, out, n)
			       : -EBADMSG;
	}
	return -ENOENT;
}
