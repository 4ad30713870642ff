#include "dwarf_info.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/*
 * Range list entries that may be read: well above what any sound file has (an entry takes two
 * bytes or more, compressed perhaps to a tenth of that).
 */
static uint64_t range_budget(Elf *elf)
{
	size_t size = 0;
	elf_rawfile(elf, &size);
	return 1000000 + 5 * (uint64_t)size;
}

static int attach_alt(struct dwarf_info *info, const char *elf_path,
		      const struct debug_file_search *search)
{
	const char *name;
	const void *id_bytes;
	struct elf_build_id id = {.n = 0};
	ssize_t id_size = dwelf_dwarf_gnu_debugaltlink(info->dwarf, &name, &id_bytes);
	if (id_size <= 0)
		return 0;
	info->alt_missing = true;
	if (id_size > ELF_BUILD_ID_MAX)
		return 0;
	memcpy(id.bytes, id_bytes, (size_t)id_size);
	id.n = (size_t)id_size;
	struct debug_file found;
	int rc = debug_file_find_alt(search, elf_path, name, &id, &found);
	if (rc == 0)
		rc = debug_elf_open(found.fd, &info->alt_file);
	if (rc == 0)
		found.fd = -1;
	debug_file_deinit(&found);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	if (info->alt_file.dwarf)
		info->alt = dwarf_begin_elf(info->alt_file.dwarf, DWARF_C_READ, NULL);
	if (info->alt) {
		dwarf_setalt(info->dwarf, info->alt);
		info->alt_missing = false;
	}
	return 0;
}

int dwarf_info_init(struct dwarf_info *info, Elf *elf, const char *elf_path,
		    const struct debug_file_search *search, const struct code_ranges *code)
{
	*info = (struct dwarf_info){.alt_file = DEBUG_ELF_EMPTY};
	info->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!info->dwarf) {
		info->lost = elf_bytes_exist(elf, ".debug_info") ? DWARF_DAMAGE_UNITS : 0U;
		return -ENOENT;
	}
	int rc = interner_init(&info->paths);
	if (rc == 0)
		rc = attach_alt(info, elf_path, search);
	dwarf_names_init(&info->names, &info->units.tables);
	if (rc == 0)
		rc = dwarf_units_init(&info->units, info->dwarf, elf_path, search->root, code,
				      range_budget(elf));
	if (rc == 0 && info->units.ranges.n == 0)
		rc = -ENOENT; /* debugging sections, but nothing about code */
	if (rc < 0) {
		const unsigned int lost = rc == -ENOENT ? dwarf_info_damage(info) : 0;
		dwarf_info_deinit(info);
		info->lost = lost;
	}
	return rc;
}

unsigned int dwarf_info_damage(const struct dwarf_info *info)
{
	return dwarf_units_damage(&info->units);
}

void dwarf_info_deinit(struct dwarf_info *info)
{
	dwarf_names_deinit(&info->names);
	dwarf_units_deinit(&info->units);
	if (info->paths.strings)
		interner_deinit(&info->paths);
	if (info->dwarf)
		dwarf_end(info->dwarf);
	if (info->alt)
		dwarf_end(info->alt);
	debug_elf_deinit(&info->alt_file);
	*info = (struct dwarf_info){.alt_file = DEBUG_ELF_EMPTY};
}

static const char *compilation_dir(struct dwarf_unit *unit)
{
	Dwarf_Attribute found;
	if (!unit->comp_dir && dwarf_attr(&unit->die, DW_AT_comp_dir, &found))
		unit->comp_dir = dwarf_formstring(&found);
	if (!unit->comp_dir)
		unit->comp_dir = "";
	return unit->comp_dir;
}

/* A source path as the compiler saw it: relative ones start at its working directory. */
static const char *absolute_path(struct dwarf_info *info, struct dwarf_unit *unit, const char *dir,
				 const char *name)
{
	if (name[0] == '/')
		return name;
	const char *base = dir[0] == '/' ? "" : compilation_dir(unit);
	char joined[PATH_MAX];
	string_id id;
	int n = snprintf(joined, sizeof(joined), "%s%s%s%s%s", base, base[0] ? "/" : "", dir,
			 dir[0] ? "/" : "", name);
	if (n > 0 && (size_t)n < sizeof(joined) &&
	    interner_add_bytes(&info->paths, joined, (size_t)n, &id) == 0)
		return interner_get(&info->paths, id);
	return name;
}

static const char *source_path(struct dwarf_info *info, struct dwarf_unit *unit,
			       struct line_file *file)
{
	if (!file || !file->name[0])
		return "";
	if (file->path)
		return file->path;
	file->path = absolute_path(info, unit, line_table_dir(&unit->lines, file), file->name);
	return file->path;
}

/* The file of a call: in split units their own files count. */
static const char *call_path(struct dwarf_info *info, struct dwarf_unit *unit, uint32_t index)
{
	if (!unit->body || !unit->body->files)
		return source_path(info, unit, dwarf_units_file(unit, index));
	const char *path = dwarf_filesrc(unit->body->files, index, NULL, NULL);
	return path ? absolute_path(info, unit, "", path) : "";
}

/* Where the code at an address comes from: the place in the innermost frame. */
static int place_innermost(struct dwarf_info *info, struct dwarf_unit *unit, uint64_t svma,
			   struct symbol_frame *frame)
{
	const struct line_row *row;
	int rc = dwarf_units_line(&info->units, unit, svma, &row);
	if (rc < 0 || !row)
		return rc;
	frame->file = source_path(info, unit, dwarf_units_file(unit, row->file));
	frame->line = row->line;
	return 0;
}

static int name_frame(struct dwarf_info *info, Dwarf_Die *die, struct symbol_frame *frame,
		      bool *has_linkage)
{
	struct dwarf_name name;
	int rc = dwarf_names_get(&info->names, die, &name);
	if (rc < 0)
		return rc;
	frame->name = name.name;
	frame->system_name = name.system_name;
	frame->start_line = name.decl_line;
	*has_linkage = name.has_linkage;
	return 0;
}

int dwarf_info_find(struct dwarf_info *info, uint64_t svma, struct dwarf_chain *chain)
{
	struct dwarf_unit *unit;
	struct dwarf_function *function;
	struct symbol_frame *frame = &chain->frames[0];
	const struct symbol_frame nothing = {.name = "", .system_name = "", .file = ""};
	chain->n = 0;
	*frame = nothing;
	int rc = dwarf_units_find(&info->units, svma, &unit, &function);
	if (rc < 0 || !unit)
		return rc;
	rc = place_innermost(info, unit, svma, frame);
	if (rc < 0 || !function)
		return rc;

	const struct dwarf_inlines *inlines = &function->inlines;
	for (uint32_t id = dwarf_inlines_find(inlines, svma); id != INLINE_NONE;) {
		struct inline_call *call = &inlines->calls[id];
		rc = name_frame(info, &call->die, frame, &chain->has_linkage);
		if (rc < 0)
			return rc;
		/* The caller's place is where this one was called. */
		*++frame = nothing;
		frame->file = call_path(info, unit, call->call_file);
		frame->line = call->call_line;
		id = call->parent;
	}
	rc = name_frame(info, &function->die, frame, &chain->has_linkage);
	if (rc < 0)
		return rc;
	chain->entry = function->entry;
	chain->n = (size_t)(frame - chain->frames) + 1;
	return 0;
}
