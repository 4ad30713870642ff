#include "heap_program.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { SCRIPT_LINE = 256, SCRIPT_DEPTH = 4 };

static bool is_executable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_in_path(const char *command, char out[PATH_MAX])
{
	const char *path = getenv("PATH");
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		const size_t n = strcspn(path, ":");
		if (n + strlen(command) + 2 < PATH_MAX) {
			snprintf(out, PATH_MAX, "%.*s/%s", (int)n, n ? path : ".", command);
			if (is_executable(out))
				return true;
		}
		path += n + (path[n] == ':');
	}
	return false;
}

static bool find(const char *command, char out[PATH_MAX])
{
	if (!strchr(command, '/'))
		return find_in_path(command, out);
	snprintf(out, PATH_MAX, "%s", command);
	return is_executable(out);
}

/* "#!/bin/sh -e" gives /bin/sh; "#!/usr/bin/env python3" gives python3's path. */
static bool follow_script(char path[PATH_MAX])
{
	char line[SCRIPT_LINE + 1] = "";
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, line, SCRIPT_LINE) < 3 || memcmp(line, "#!", 2) != 0)
		return false;
	line[strcspn(line, "\n")] = '\0';
	char *rest = NULL;
	const char *interpreter = strtok_r(line + 2, " \t", &rest);
	if (!interpreter)
		return false;
	const char *slash = strrchr(interpreter, '/');
	const char *argument = strtok_r(NULL, " \t", &rest);
	if (slash && strcmp(slash, "/env") == 0 && argument && argument[0] != '-')
		return find(argument, path);
	snprintf(path, PATH_MAX, "%s", interpreter);
	return is_executable(path);
}

static void set(struct heap_program *out, enum heap_program_state state, const char *detail)
{
	out->state = state;
	snprintf(out->detail, sizeof(out->detail), "%s", detail ? detail : "");
}

static bool is_privileged(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return false;
	return ((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
	       ((st.st_mode & S_ISGID) && st.st_gid != getegid()) ||
	       fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* The path in PT_INTERP; NULL: none. Borrowed from the file. */
static const char *interpreter_of(Elf *elf)
{
	size_t n;
	if (elf_getphdrnum(elf, &n) != 0)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr segment;
		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_INTERP)
			continue;
		Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)segment.p_offset,
						      segment.p_filesz, ELF_T_BYTE);
		const bool ends = data && data->d_size &&
				  ((const char *)data->d_buf)[data->d_size - 1] == '\0';
		return ends ? data->d_buf : NULL;
	}
	return NULL;
}

/* Symbols that tell what a program is linked with. */
static void judge_symbol(struct heap_program *out, const char *name, const GElf_Sym *symbol)
{
	static const char *const sanitizers[] = {"__asan_init", "__tsan_init", "__msan_init",
						 "__hwasan_init", "__lsan_init"};
	for (size_t i = 0; i < sizeof(sanitizers) / sizeof(sanitizers[0]); i++)
		if (strcmp(name, sanitizers[i]) == 0)
			set(out, HEAP_PROGRAM_SANITIZED, name);
	if (out->state == HEAP_PROGRAM_FINE && symbol->st_shndx != SHN_UNDEF &&
	    GELF_ST_TYPE(symbol->st_info) == STT_FUNC &&
	    GELF_ST_BIND(symbol->st_info) != STB_LOCAL && strcmp(name, "malloc") == 0)
		set(out, HEAP_PROGRAM_OWN_MALLOC, name);
}

static void judge_symbols(struct heap_program *out, Elf *elf)
{
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section)) != NULL;) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
		    header.sh_entsize == 0)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		const size_t n = data ? data->d_size / header.sh_entsize : 0;
		for (size_t i = 0; i < n; i++) {
			GElf_Sym symbol;
			if (!gelf_getsym(data, (int)i, &symbol))
				break;
			const char *name = elf_strptr(elf, header.sh_link, symbol.st_name);
			if (name)
				judge_symbol(out, name, &symbol);
		}
	}
}

static void judge_elf(struct heap_program *out, Elf *elf)
{
	GElf_Ehdr header;
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64) {
		set(out, HEAP_PROGRAM_FOREIGN, NULL);
		return;
	}
	const char *interpreter = interpreter_of(elf);
	if (!interpreter)
		set(out, HEAP_PROGRAM_STATIC, NULL);
	else if (!strstr(interpreter, "ld-linux"))
		set(out, HEAP_PROGRAM_OTHER_LIBC, interpreter);
	else
		judge_symbols(out, elf);
}

void heap_program_check(const char *command, struct heap_program *out)
{
	*out = (struct heap_program){.state = HEAP_PROGRAM_UNKNOWN};
	if (!find(command, out->path)) {
		snprintf(out->path, sizeof(out->path), "%s", command);
		return;
	}
	for (int depth = 0; depth < SCRIPT_DEPTH && follow_script(out->path); depth++)
		;
	CP_CLEANUP(cp_close_fd) int fd = open(out->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	out->state = HEAP_PROGRAM_FINE;
	if (is_privileged(fd)) {
		set(out, HEAP_PROGRAM_PRIVILEGED, NULL);
		return;
	}
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	judge_elf(out, elf);
	elf_end(elf);
}

const char *heap_program_reason(const struct heap_program *program, char *buf, size_t size)
{
	static const char *const reasons[HEAP_PROGRAM_STATES] = {
		[HEAP_PROGRAM_FINE] = "",
		[HEAP_PROGRAM_UNKNOWN] = "it cannot be read",
		[HEAP_PROGRAM_FOREIGN] = "it is no 64-bit x86 program",
		[HEAP_PROGRAM_STATIC] = "it is linked statically, so that no library can be loaded "
					"into it: link it dynamically",
		[HEAP_PROGRAM_OTHER_LIBC] =
			"its loader is not glibc's (musl or another C library), "
			"for which libcprof_heap.so is not made",
		[HEAP_PROGRAM_PRIVILEGED] =
			"it is set-user-ID, set-group-ID or has file "
			"capabilities: the loader then ignores LD_PRELOAD; run a "
			"copy without, as the user it would run as",
		[HEAP_PROGRAM_SANITIZED] =
			"it is built with a sanitizer, which brings its own heap "
			"(and, for leaks, LeakSanitizer): build it without",
		[HEAP_PROGRAM_OWN_MALLOC] =
			"an allocator is linked into it statically, and its own "
			"calls go there: link the allocator as a shared library",
	};
	if (program->state == HEAP_PROGRAM_FINE)
		return "";
	snprintf(buf, size, "%s: %s%s%s%s", program->path, reasons[program->state],
		 program->detail[0] ? " (" : "", program->detail, program->detail[0] ? ")" : "");
	return buf;
}
