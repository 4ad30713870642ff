#include "binary.h"

#include "binary_files.h"
#include "code_ranges.h"
#include "debuginfod_query.h"
#include "dwarf_info.h"
#include "elf_plt.h"
#include "elf_symbols.h"
#include "frame_names.h"
#include "symbol_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct binary {
	struct binary_files files;
	struct code_ranges code;
	struct symbol_table symbols;
	struct symbol_names names;
	struct debuginfod_query *debuginfod; /* borrowed */
	const char *path;                    /* while it is opened */
	struct cp_err fetch_failure;
	bool has_symbol_table;
	bool has_dwarf;
	unsigned int lost; /* enum dwarf_damage: of debug information that is no use for it */
	struct dwarf_info dwarf;
	char shortcoming[CP_ERR_MAX + 1024];
	struct dwarf_chain chain;
};

void binary_close(struct binary *binary)
{
	if (!binary)
		return;
	if (binary->has_dwarf)
		dwarf_info_deinit(&binary->dwarf);
	symbol_table_deinit(&binary->symbols);
	code_ranges_deinit(&binary->code);
	symbol_names_deinit(&binary->names);
	binary_files_deinit(&binary->files);
	free(binary);
}

static struct binary *binary_create(void)
{
	struct binary *binary = calloc(1, sizeof(*binary));
	if (!binary)
		return NULL;
	binary_files_init(&binary->files);
	if (symbol_names_init(&binary->names) < 0) {
		free(binary);
		return NULL;
	}
	return binary;
}

static const char *root_of(pid_t pid, char *buf, size_t size)
{
	if (pid <= 0)
		return NULL;
	snprintf(buf, size, "/proc/%ld/root", (long)pid);
	return access(buf, F_OK) == 0 ? buf : NULL;
}

static int try_dwarf(struct binary *binary, const struct debug_elf *file, const char *path,
		     const struct debug_file_search *search)
{
	if (!file->dwarf)
		return file->trouble[0] ? -ENOENT : -ENOMEM;
	int rc = dwarf_info_init(&binary->dwarf, file->dwarf, path, search, &binary->code);
	binary->has_dwarf = rc == 0;
	if (rc == -ENOENT)
		binary->lost |= binary->dwarf.lost;
	return rc;
}

/* Find DWARF: in the binary, else in its debug file, which also brings symbols. */
static int find_dwarf(struct binary *binary, struct debug_file_search *search)
{
	struct binary_files *files = &binary->files;
	if (files->file.elf) {
		int rc = try_dwarf(binary, &files->file, search->path, search);
		if (rc != -ENOENT)
			return rc;
	}
	int rc = binary_files_find_debug(files, search);
	if (rc < 0 || !files->debug.elf)
		return rc;
	if (binary->code.n == 0 && code_ranges_read(&binary->code, files->debug.elf) < 0)
		return -ENOMEM;
	rc = try_dwarf(binary, &files->debug, files->debug_path, search);
	return rc == -ENOENT ? 0 : rc;
}

static int add_symbols(struct binary *binary, Elf *elf)
{
	return elf ? elf_symbols_add(&binary->symbols, elf, &binary->code,
				     &binary->has_symbol_table)
		   : 0;
}

static int read_symbols(struct binary *binary)
{
	struct binary_files *files = &binary->files;
	int rc = add_symbols(binary, files->file.elf);
	if (rc == 0)
		rc = add_symbols(binary, files->debug.elf);
	if (rc == 0 && !binary->has_dwarf && !files->debug.elf)
		rc = binary_files_find_mini(files);
	if (rc == 0)
		rc = add_symbols(binary, files->mini.elf);
	if (rc == 0 && files->file.elf)
		rc = elf_plt_add(&binary->symbols, &binary->names.strings, files->file.elf);
	if (rc == 0)
		rc = symbol_table_seal(&binary->symbols);
	return rc;
}

static const char *missing_text(const struct binary *binary)
{
	const struct binary_files *files = &binary->files;
	if (binary->has_dwarf)
		return binary->dwarf.alt_missing ? "the shared debug file (dwz) it refers to is "
						   "missing: names may be wanting"
						 : "";
	if (files->file.trouble[0] || files->debug.trouble[0])
		return files->file.trouble[0] ? files->file.trouble : files->debug.trouble;
	if (files->trouble[0])
		return files->trouble;
	if (files->mini.elf)
		return "no debug information: function names from its minidebuginfo, no lines";
	return binary->has_symbol_table ? "no debug information: function names as far as ELF "
					  "symbols go, no lines"
					: "no debug information and no symbol table";
}

/* Damage. Return: false when there is none, or what is told otherwise says more. */
static bool describe_damage(struct binary *binary)
{
	char damage[160];
	const unsigned int parts =
		binary->has_dwarf ? dwarf_info_damage(&binary->dwarf) : binary->lost;
	const struct binary_files *files = &binary->files;
	if (parts == 0 || (!binary->has_dwarf && (files->debug.trouble[0] || files->trouble[0])))
		return false;
	dwarf_damage_describe(parts, damage, sizeof(damage));
	const char *failure = binary->has_dwarf ? "" : binary->fetch_failure.message;
	snprintf(binary->shortcoming, sizeof(binary->shortcoming), "%s: %s%s%s", damage,
		 binary->has_dwarf          ? "names, lines or inlined calls may be wanting"
		 : binary->has_symbol_table ? "function names as far as ELF symbols go, no lines"
					    : "and no symbol table",
		 failure[0] ? "; " : "", failure);
	return true;
}

static void describe_shortcoming(struct binary *binary)
{
	if (describe_damage(binary))
		return;
	if (binary->has_dwarf &&
	    dwarf_split_describe(&binary->dwarf.units.split, binary->shortcoming,
				 sizeof(binary->shortcoming)))
		return;
	const char *missing = missing_text(binary);
	const char *failure = missing[0] ? binary->fetch_failure.message : "";
	snprintf(binary->shortcoming, sizeof(binary->shortcoming), "%s%s%s", missing,
		 failure[0] ? "; " : "", failure);
}

/* debug_file_search's last resort. */
static char *fetch(void *ctx, const struct elf_build_id *id)
{
	struct binary *binary = ctx;
	char *path = NULL;
	debuginfod_query_fetch(binary->debuginfod, id, binary->path, &path, &binary->fetch_failure);
	return path;
}

/* From an open (or absent) ELF file to everything that can be looked up. */
static int load(struct binary *binary, struct debug_file_search *search, struct cp_err *err)
{
	int rc = 0;
	if (binary->files.file.elf)
		rc = code_ranges_read(&binary->code, binary->files.file.elf);
	if (rc == 0)
		rc = find_dwarf(binary, search);
	if (rc == 0)
		rc = read_symbols(binary);
	if (rc < 0)
		return cp_fail_nomem(err);
	describe_shortcoming(binary);
	return 0;
}

static void add_failure(struct cp_err *err, const struct cp_err *failure)
{
	if (!err)
		return;
	const struct cp_err first = *err;
	cp_fail(err, 0, "%.500s; %.500s", first.message, failure->message);
}

int binary_open(const char *path, const char *build_id, const struct binary_options *options,
		struct binary **out, struct cp_err *err)
{
	struct elf_build_id wanted = {.n = 0}, found = {.n = 0};
	char root_buf[64];
	struct binary *binary = binary_create();
	if (!binary)
		return cp_fail_nomem(err);
	debug_file_parse_build_id(build_id, &wanted);
	const char *root = root_of(options->root_pid, root_buf, sizeof(root_buf));
	const struct binary_place place = {.path = path,
					   .root = root,
					   .pid = options->root_pid,
					   .kept = options->kept_files,
					   .objects = options->objects};
	int rc = binary_files_open(&binary->files, &place, &wanted, &found, err);
	bool missing = rc < 0;
	struct debug_file_search search = {.path = path,
					   .root = root,
					   .binary_fd = binary->files.file.fd,
					   .build_id = missing ? &wanted : &found,
					   .dirs = options->debug_dirs,
					   .n_dirs = options->n_debug_dirs,
					   .fetch = options->debuginfod ? fetch : NULL,
					   .fetch_ctx = binary};
	binary->debuginfod = options->debuginfod;
	binary->path = path;
	if (!missing || wanted.n > 0) {
		struct cp_err load_err;
		int load_rc = load(binary, &search, &load_err);
		if (load_rc < 0)
			rc = cp_fail(err, load_rc, "%s", load_err.message);
		else if (missing && binary->files.debug.elf)
			rc = 0; /* the debug file by build-id says it all */
		else if (missing && binary->fetch_failure.message[0])
			add_failure(err, &binary->fetch_failure);
	}
	if (rc < 0)
		binary_close(binary);
	else
		*out = binary;
	return rc;
}

int binary_open_memory(const void *bytes, size_t n, const char *build_id, struct binary **out,
		       struct cp_err *err)
{
	struct elf_build_id wanted = {.n = 0}, found;
	struct binary *binary = binary_create();
	if (!binary)
		return cp_fail_nomem(err);
	debug_file_parse_build_id(build_id, &wanted);
	int rc = binary_files_open_memory(&binary->files, bytes, n, &wanted, &found, err);
	if (rc == 0) {
		struct debug_file_search search = {.path = "", .binary_fd = -1, .build_id = &found};
		rc = load(binary, &search, err);
	}
	if (rc < 0)
		binary_close(binary);
	else
		*out = binary;
	return rc;
}

const char *binary_shortcoming(struct binary *binary)
{
	if (binary->has_dwarf)
		describe_shortcoming(binary);
	return binary->shortcoming;
}

bool binary_changed(const struct binary *binary)
{
	return binary_files_changed(&binary->files) ||
	       (binary->has_dwarf && (debug_elf_changed(&binary->dwarf.alt_file) ||
				      dwarf_split_changed(&binary->dwarf.units.split)));
}

size_t binary_open_files(const struct binary *binary, int *fds, size_t max)
{
	const struct debug_elf *open[] = {&binary->files.file, &binary->files.debug,
					  binary->has_dwarf ? &binary->dwarf.alt_file : NULL};
	size_t n = 0;
	if (!binary->has_dwarf || binary->shortcoming[0] || binary->dwarf.units.split.any)
		return 0;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		if (!open[i] || open[i]->fd < 0)
			continue;
		if (n == max || debug_elf_touched(open[i]))
			return 0;
		fds[n++] = open[i]->fd;
	}
	return n;
}

uint32_t binary_group(const struct binary *binary, uint64_t svma)
{
	return binary->has_dwarf ? dwarf_units_number(&binary->dwarf.units, svma) : 0;
}

bool binary_has_functions(const struct binary *binary)
{
	return binary->has_symbol_table || binary->has_dwarf;
}

bool binary_has_dwarf(const struct binary *binary)
{
	return binary->has_dwarf;
}

bool binary_find_symbol(const struct binary *binary, const char *name, uint64_t *svma)
{
	const struct binary_files *files = &binary->files;
	return (files->file.elf && elf_symbols_by_name(files->file.elf, name, svma)) ||
	       (files->debug.elf && elf_symbols_by_name(files->debug.elf, name, svma));
}

bool binary_overlaps_code(const struct binary *binary, uint64_t start, uint64_t end)
{
	return code_ranges_overlap(&binary->code, start, end);
}

int binary_find(struct binary *binary, uint64_t svma, const struct symbol_frame **frames, size_t *n)
{
	struct dwarf_chain *chain = &binary->chain;
	*frames = chain->frames;
	*n = 0;
	chain->n = 0;
	chain->frames[0] = (struct symbol_frame){.name = "", .system_name = "", .file = ""};
	int rc = binary->has_dwarf ? dwarf_info_find(&binary->dwarf, svma, chain) : 0;
	if (rc == 0 && chain->n > 0) {
		rc = frame_names_complete(&binary->symbols, &binary->names, chain);
	} else if (rc == 0) {
		const struct symbol *symbol = symbol_table_find(&binary->symbols, svma);
		if (symbol)
			rc = frame_names_of_symbol(&binary->names, symbol, SYMBOL_SUFFIX_SHOWN,
						   &chain->frames[0]);
		chain->n = symbol != NULL;
	}
	if (rc < 0)
		return rc;
	*n = chain->n;
	return 0;
}
