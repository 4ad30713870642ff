#include "modules.h"

#include "base/cleanup.h"
#include "elf/kept_files.h"
#include "procfs.h"
#include "unwind/mapped_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void modules_init(struct modules *modules, struct profile *profile)
{
	*modules = (struct modules){.profile = profile};
}

void modules_notes_build_id(const uint8_t *notes, size_t n, char *hex)
{
	struct elf_build_id id = {.n = 0};
	size_t at = 0;
	hex[0] = 0;
	while (n - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		uint64_t name_bytes = ((uint64_t)note.n_namesz + 3) & ~3ULL;
		uint64_t desc_bytes = ((uint64_t)note.n_descsz + 3) & ~3ULL;
		if (name_bytes + desc_bytes > n - at)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(notes + at, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
		    note.n_descsz <= ELF_BUILD_ID_MAX) {
			memcpy(id.bytes, notes + at + name_bytes, note.n_descsz);
			id.n = note.n_descsz;
			elf_build_id_hex(&id, hex);
			return;
		}
		at += name_bytes + desc_bytes;
	}
}

static void kernel_build_id(char *hex)
{
	uint8_t notes[8192];
	hex[0] = 0;
	CP_CLEANUP(cp_close_fd) int fd = open("/sys/kernel/notes", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, notes, sizeof(notes));
	if (n > 0)
		modules_notes_build_id(notes, (size_t)n, hex);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void notice_runtime(struct modules *modules, const char *path)
{
	const char *name = base_name(path);
	if (starts_with(name, "python3") || starts_with(name, "libpython3"))
		modules->runtimes[RUNTIME_PYTHON] = true;
	else if (strcmp(name, "node") == 0 || strcmp(name, "nodejs") == 0 ||
		 starts_with(name, "libnode.so"))
		modules->runtimes[RUNTIME_NODE] = true;
	else if (strcmp(name, "java") == 0 || strcmp(name, "libjvm.so") == 0)
		modules->runtimes[RUNTIME_JAVA] = true;
}

const char *modules_runtimes(const struct modules *modules, char *buf, size_t cap)
{
	static const char *const NAMES[RUNTIME_COUNT] = {
		[RUNTIME_PYTHON] = "python",
		[RUNTIME_NODE] = "node",
		[RUNTIME_JAVA] = "java",
	};
	size_t n = 0;
	buf[0] = 0;
	for (size_t i = 0; i < RUNTIME_COUNT; i++) {
		if (modules->runtimes[i] && n < cap)
			n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? "," : "", NAMES[i]);
	}
	return buf;
}

/* @range: what else is known of the module */
static int add_module(struct modules *modules, const char *path, const char *build_id,
		      struct profile_module range, module_id *out)
{
	int code = profile_string(modules->profile, path, &range.path);
	if (code == 0)
		code = profile_string(modules->profile, build_id, &range.build_id);
	if (code == 0)
		code = profile_add_module(modules->profile, &range, out);
	if (code == 0)
		notice_runtime(modules, path);
	return code;
}

/* A pseudo-file whose addresses are those of the process, so all of them may lie in it. */
static int add_pseudo(struct modules *modules, const char *path, const char *build_id,
		      uint32_t *cached, module_id *out)
{
	if (*cached == 0) {
		struct profile_module whole = {.svma_end = UINT64_MAX};
		module_id id = {0};
		int code = add_module(modules, path, build_id, whole, &id);
		if (code < 0)
			return code;
		*cached = id.v + 1;
	}
	out->v = *cached - 1;
	return 0;
}

int modules_kernel(struct modules *modules, module_id *out)
{
	char hex[2 * ELF_BUILD_ID_MAX + 1] = "";
	if (modules->kernel == 0)
		kernel_build_id(hex);
	return add_pseudo(modules, PROFILE_PATH_KERNEL, hex, &modules->kernel, out);
}

int modules_unknown(struct modules *modules, module_id *out)
{
	return add_pseudo(modules, PROFILE_PATH_UNKNOWN, "", &modules->unknown, out);
}

/* It has a name from the start: viewers show a location without one as a bare address. */
int modules_named(struct modules *modules, const char *name, location_id *out)
{
	struct profile *profile = modules->profile;
	struct profile_module nowhere = {.svma_end = UINT64_MAX, .has_functions = true};
	struct profile_function function = {0};
	struct profile_line line = {0};
	module_id module = {0};
	location_id made = {0};
	int code = add_module(modules, name, "", nowhere, &module);
	if (code == 0)
		code = profile_string(profile, name, &function.name);
	function.system_name = function.name;
	if (code == 0)
		code = profile_add_function(profile, &function, &line.function);
	if (code == 0)
		code = profile_add_location(profile, module, 0, &made);
	if (code == 0)
		code = profile_set_lines(profile, made, &line, 1);
	if (code == 0)
		*out = made;
	return code;
}

int modules_omitted(struct modules *modules, location_id *out)
{
	location_id made = {0};
	const int code = modules->omitted ? 0 : modules_named(modules, PROFILE_PATH_OMITTED, &made);
	if (code < 0)
		return code;
	if (!modules->omitted)
		modules->omitted = made.v + 1;
	out->v = modules->omitted - 1;
	return 0;
}

static int add_jit(struct modules *modules, struct process *process, module_id *out)
{
	char path[32];
	if (process->jit_module == 0 && modules->generated_code)
		modules->generated_code(modules->generated_code_ctx, process->pid);
	snprintf(path, sizeof(path), PROFILE_PATH_JIT "%d]", process->pid);
	return add_pseudo(modules, path, "", &process->jit_module, out);
}

/*
 * The module of a mapping with a file behind it. A segment is described by its pages, as the
 * file states them, so that it is the same module in every process.
 */
static int add_mapped(struct modules *modules, const struct mapping *mapping, module_id *out)
{
	const uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	const char *path = mapping->kind == MAPPING_VDSO ? PROFILE_PATH_VDSO : mapping->path;
	char hex[2 * ELF_BUILD_ID_MAX + 1] = "";
	struct profile_module range;
	if (mapping->segment) {
		const struct elf_segment *segment = mapping->segment;
		uint64_t in_page = segment->svma & page_mask;
		uint64_t end = segment->svma + segment->mem_size;
		range = (struct profile_module){
			.svma_start = segment->svma - in_page,
			.svma_end = (end + page_mask) & ~page_mask,
			.file_off = segment->file_off > in_page ? segment->file_off - in_page : 0,
		};
		elf_build_id_hex(elf_image_build_id(mapping->image), hex);
	} else {
		/* what cannot be read is addressed by its offset in the file */
		range = (struct profile_module){
			.svma_start = mapping->file_off,
			.svma_end = mapping->file_off + (mapping->avma_end - mapping->avma_start),
			.file_off = mapping->file_off,
		};
	}
	return add_module(modules, path, hex, range, out);
}

/*
 * A file system that a file of it is held of cannot be unmounted. A recording of the whole machine
 * must not be what a container waits for when it ends: only what is on our own mounts is held then.
 */
static bool is_on_our_mounts(int fd, const char *path)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat of_file, of_directory;
	const size_t n = slash ? (size_t)(slash - path) + 1 : sizeof(directory);
	if (n >= sizeof(directory))
		return false;
	memcpy(directory, path, n);
	directory[n] = '\0';
	return fstat(fd, &of_file) == 0 && stat(directory, &of_directory) == 0 &&
	       of_file.st_dev == of_directory.st_dev;
}

/* The mapping's file may be gone or another one when its names are looked up. */
static void keep_file(struct modules *modules, pid_t pid, const struct mapping *mapping)
{
	if (!modules->kept_files || !mapping->segment || mapping->kind == MAPPING_VDSO ||
	    !kept_files_has_room(modules->kept_files))
		return;
	const int fd = mapped_file_open(pid, mapping);
	if (fd < 0)
		return;
	if (modules->keep_ours_only && !is_on_our_mounts(fd, mapping->path))
		close(fd);
	else
		kept_files_add(modules->kept_files, fd, mapping->path,
			       elf_image_build_id(mapping->image));
}

int modules_locate(struct modules *modules, struct process *process, uint64_t avma, module_id *out,
		   uint64_t *out_svma)
{
	struct mapping *mapping = address_space_find(process->space, avma);
	*out_svma = avma;
	if (!mapping)
		return modules_unknown(modules, out);
	if (mapping_is_anonymous(mapping))
		return add_jit(modules, process, out);
	if (mapping->user_id == 0) {
		module_id id = {0};
		const size_t before = modules->profile->n_modules;
		int code = add_mapped(modules, mapping, &id);
		if (code < 0)
			return code;
		if (modules->profile->n_modules > before)
			keep_file(modules, process->pid, mapping);
		mapping->user_id = id.v + 1;
	}
	out->v = mapping->user_id - 1;
	*out_svma = avma - mapping->bias;
	return 0;
}

void modules_add_main(struct modules *modules, const struct processes *processes, pid_t pid)
{
	struct process *process = processes_find(processes, pid);
	uint64_t avma, svma;
	module_id module;
	if (process && procfs_exe_start(pid, &avma) && address_space_find(process->space, avma))
		modules_locate(modules, process, avma, &module, &svma);
}
