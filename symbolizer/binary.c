#include "binary.h"

#include "base/cleanup.h"
#include "base/regular_file.h"
#include "code_ranges.h"
#include "dwarf_info.h"
#include "elf/debug_file.h"
#include "elf_plt.h"
#include "elf_symbols.h"
#include "symbol_names.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

struct binary {
	char *bytes; /* of an image in memory */
	int fd;
	Elf *elf; /* NULL when only the debug file is at hand */
	struct debug_file debug_file;
	Elf *debug_elf;
	struct code_ranges code;
	struct symbol_table symbols;
	struct symbol_names names;
	bool has_symbol_table;
	bool has_dwarf;
	struct dwarf_info dwarf;
	char shortcoming[512];
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
	elf_end(binary->debug_elf);
	elf_end(binary->elf);
	debug_file_deinit(&binary->debug_file);
	cp_close_fd(&binary->fd);
	free(binary->bytes);
	free(binary);
}

static struct binary *binary_create(void)
{
	struct binary *binary = calloc(1, sizeof(*binary));
	if (!binary)
		return NULL;
	elf_version(EV_CURRENT);
	binary->fd = -1;
	binary->debug_file = DEBUG_FILE_EMPTY;
	if (symbol_names_init(&binary->names) < 0) {
		free(binary);
		return NULL;
	}
	return binary;
}

static bool is_program(Elf *elf)
{
	GElf_Ehdr header;
	return elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
	       (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

/* Return: 0; -ESTALE: both build-ids are known and differ. @found is what @elf has. */
static int check_build_id(Elf *elf, const struct elf_build_id *wanted, struct elf_build_id *found,
			  struct cp_err *err)
{
	debug_file_build_id(elf, found);
	if (wanted->n == 0)
		return 0;
	if (found->n == 0)
		return cp_fail(err, -ESTALE,
			       "the file on disk is another build (without a build-id)");
	if (found->n == wanted->n && memcmp(found->bytes, wanted->bytes, wanted->n) == 0)
		return 0;
	char hex[2 * ELF_BUILD_ID_MAX + 1] = "";
	for (size_t i = 0; i < found->n; i++)
		snprintf(hex + 2 * i, 3, "%02x", found->bytes[i]);
	return cp_fail(err, -ESTALE, "the file on disk is another build (build-id %s)", hex);
}

/* Open one path as the binary. Return: 0 and binary->elf, or the code with its reason. */
static int try_path(struct binary *binary, const char *path, const struct elf_build_id *wanted,
		    struct elf_build_id *found, struct cp_err *err)
{
	CP_CLEANUP(cp_close_fd) int fd = regular_file_open(path);
	if (fd == -EINVAL)
		return cp_fail(err, fd, "not a regular file");
	if (fd < 0)
		return cp_fail(err, fd, "%s", strerror(-fd));
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	int rc = is_program(elf) ? check_build_id(elf, wanted, found, err)
				 : cp_fail(err, -ENOEXEC, "not an ELF program or library");
	if (rc < 0) {
		elf_end(elf);
		return rc;
	}
	binary->elf = elf;
	binary->fd = fd;
	fd = -1;
	return 0;
}

static const char *root_of(pid_t pid, char *buf, size_t size)
{
	if (pid <= 0)
		return NULL;
	snprintf(buf, size, "/proc/%ld/root", (long)pid);
	return access(buf, F_OK) == 0 ? buf : NULL;
}

/* Below the target's root, else where we see the path. */
static int open_file(struct binary *binary, const char *path, const char *root,
		     const struct elf_build_id *wanted, struct elf_build_id *found,
		     struct cp_err *err)
{
	struct cp_err below_err = {""};
	int below_rc = -ENOENT;
	char below[PATH_MAX];
	if (root && path[0] == '/' &&
	    (size_t)snprintf(below, sizeof(below), "%s%s", root, path) < sizeof(below))
		below_rc = try_path(binary, below, wanted, found, &below_err);
	if (below_rc == 0)
		return 0;
	int rc = try_path(binary, path, wanted, found, err);
	/* What is wrong with the target's own file says more than that we do not have it. */
	if (rc == -ENOENT && below_rc != -ENOENT)
		return cp_fail(err, below_rc, "%s", below_err.message);
	return rc;
}

/* Find DWARF: in the binary, else in its debug file, which also brings symbols. */
static int find_debug(struct binary *binary, struct debug_file_search *search)
{
	GElf_Word crc = 0;
	if (binary->elf) {
		int rc = dwarf_info_init(&binary->dwarf, binary->elf, search->path, search,
					 &binary->code);
		binary->has_dwarf = rc == 0;
		if (rc != -ENOENT)
			return rc;
		search->link = dwelf_elf_gnu_debuglink(binary->elf, &crc);
		search->link_crc = crc;
	}
	int rc = debug_file_find(search, &binary->debug_file);
	if (rc == -ESTALE) {
		snprintf(binary->shortcoming, sizeof(binary->shortcoming),
			 "the debug file %s is of another build", binary->debug_file.path);
		return 0;
	}
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	binary->debug_elf = elf_begin(binary->debug_file.fd, ELF_C_READ_MMAP, NULL);
	if (!binary->debug_elf)
		return 0;
	if (binary->code.n == 0 && code_ranges_read(&binary->code, binary->debug_elf) < 0)
		return -ENOMEM;
	rc = dwarf_info_init(&binary->dwarf, binary->debug_elf, binary->debug_file.path, search,
			     &binary->code);
	binary->has_dwarf = rc == 0;
	return rc == -ENOENT ? 0 : rc;
}

static int read_symbols(struct binary *binary)
{
	int rc = 0;
	if (binary->elf)
		rc = elf_symbols_add(&binary->symbols, binary->elf, &binary->code,
				     &binary->has_symbol_table);
	if (rc == 0 && binary->debug_elf)
		rc = elf_symbols_add(&binary->symbols, binary->debug_elf, &binary->code,
				     &binary->has_symbol_table);
	if (rc == 0 && binary->elf)
		rc = elf_plt_add(&binary->symbols, &binary->names.strings, binary->elf);
	if (rc == 0)
		rc = symbol_table_seal(&binary->symbols);
	return rc;
}

static void describe_shortcoming(struct binary *binary)
{
	const char *text = NULL;
	if (binary->has_dwarf && binary->dwarf.alt_missing)
		text = "the shared debug file (dwz) it refers to is missing: names may be wanting";
	else if (!binary->has_dwarf && binary->shortcoming[0])
		return;
	else if (!binary->has_dwarf && binary->has_symbol_table)
		text = "no debug information: function names as far as ELF symbols go, no lines";
	else if (!binary->has_dwarf)
		text = "no debug information and no symbol table";
	snprintf(binary->shortcoming, sizeof(binary->shortcoming), "%s", text ? text : "");
}

/* From an open (or absent) ELF file to everything that can be looked up. */
static int load(struct binary *binary, struct debug_file_search *search, struct cp_err *err)
{
	int rc = 0;
	if (binary->elf)
		rc = code_ranges_read(&binary->code, binary->elf);
	if (rc == 0)
		rc = find_debug(binary, search);
	if (rc == 0)
		rc = read_symbols(binary);
	if (rc < 0)
		return cp_fail_nomem(err);
	describe_shortcoming(binary);
	return 0;
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
	int rc = open_file(binary, path, root, &wanted, &found, err);
	bool missing = rc < 0;
	struct debug_file_search search = {.path = path,
					   .root = root,
					   .binary_fd = binary->fd,
					   .build_id = missing ? &wanted : &found,
					   .dirs = options->debug_dirs,
					   .n_dirs = options->n_debug_dirs};
	if (!missing || wanted.n > 0) {
		struct cp_err load_err;
		int load_rc = load(binary, &search, &load_err);
		if (load_rc < 0)
			rc = cp_fail(err, load_rc, "%s", load_err.message);
		else if (missing && binary->debug_elf)
			rc = 0; /* the debug file by build-id says it all */
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
	if (!binary || !(binary->bytes = malloc(n + 1))) {
		binary_close(binary);
		return cp_fail_nomem(err);
	}
	memcpy(binary->bytes, bytes, n);
	debug_file_parse_build_id(build_id, &wanted);
	binary->elf = elf_memory(binary->bytes, n);
	int rc = is_program(binary->elf) ? check_build_id(binary->elf, &wanted, &found, err)
					 : cp_fail(err, -ENOEXEC, "not an ELF image");
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

const char *binary_shortcoming(const struct binary *binary)
{
	return binary->shortcoming;
}

bool binary_has_functions(const struct binary *binary)
{
	return binary->has_symbol_table || binary->has_dwarf;
}

bool binary_has_dwarf(const struct binary *binary)
{
	return binary->has_dwarf;
}

bool binary_overlaps_code(const struct binary *binary, uint64_t start, uint64_t end)
{
	return code_ranges_overlap(&binary->code, start, end);
}

static int use_symbol(struct binary *binary, const struct symbol *symbol, enum symbol_suffix suffix,
		      struct symbol_frame *frame)
{
	const char *name = symbol_names_get(&binary->names, symbol, suffix);
	if (!name)
		return -ENOMEM;
	frame->name = name;
	frame->system_name = symbol->name;
	return 0;
}

/*
 * Name a function of the DWARF that has no linkage name there: gcc writes none for functions of
 * local linkage, but their symbols tell overloads and the lambdas of one function apart. C's
 * symbols are not mangled and add nothing, unless the DWARF has an assembler alias for a linkage
 * name (glibc: __GI___libc_malloc): then the symbol is what people call it (malloc).
 */
static int name_function(struct binary *binary, uint64_t entry, struct symbol_frame *frame)
{
	const struct symbol *symbol = symbol_table_find(&binary->symbols, entry);
	bool mangled = symbol && symbol->name[0] == '_' &&
		       (symbol->name[1] == 'Z' || symbol->name[1] == 'R');
	bool alias = !strstr(frame->name, frame->system_name);
	if (!symbol || (frame->name[0] && !mangled && !alias))
		return 0;
	/* one that stays mangled is worth less than any other name */
	const char *name = symbol_names_get(&binary->names, symbol, SYMBOL_SUFFIX_HIDDEN);
	if (!name)
		return -ENOMEM;
	if (frame->name[0] && mangled && name[0] == '_' && name[1] == symbol->name[1])
		return 0;
	return use_symbol(binary, symbol, SYMBOL_SUFFIX_HIDDEN, frame);
}

/* Fill in the names that the DWARF lacks: it may miss its other half (dwz). */
static int complete_names(struct binary *binary, struct dwarf_chain *chain)
{
	if (!chain->has_linkage) {
		int rc = name_function(binary, chain->entry, &chain->frames[chain->n - 1]);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < chain->n; i++)
		if (!chain->frames[i].name[0])
			chain->frames[i].name = chain->frames[i].system_name = "[unnamed]";
	return 0;
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
		rc = complete_names(binary, chain);
	} else if (rc == 0) {
		const struct symbol *symbol = symbol_table_find(&binary->symbols, svma);
		if (symbol)
			rc = use_symbol(binary, symbol, SYMBOL_SUFFIX_SHOWN, &chain->frames[0]);
		chain->n = symbol != NULL;
	}
	if (rc < 0)
		return rc;
	*n = chain->n;
	return 0;
}
