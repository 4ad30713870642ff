#include "source.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "binary.h"
#include "elf/debug_file.h"
#include "jit_code.h"
#include "kallsyms.h"
#include "kernel_debug.h"
#include "text_file.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <time.h>

enum source_kind { SOURCE_BINARY, SOURCE_KERNEL, SOURCE_JIT };

/* The vDSO is a page or a few; its section headers lie at its end. */
enum { VDSO_MAX_BYTES = 1024 * 1024, KERNEL_NOTES_MAX_BYTES = 64 * 1024 };

struct source {
	enum source_kind kind;
	struct binary *binary;
	struct kallsyms kallsyms;
	struct kernel_debug kernel;
	struct jit_code *jit;
	struct symbol_frame frame; /* of the two kinds that have no chains */
};

void source_close(struct source *source)
{
	if (!source)
		return;
	binary_close(source->binary);
	if (source->kind == SOURCE_KERNEL)
		kallsyms_deinit(&source->kallsyms);
	kernel_debug_close(&source->kernel);
	jit_code_close(source->jit);
	free(source);
}

/* A file of unknown build must at least have code where the module had it. */
static int check_place(const struct source_request *request, struct binary *binary,
		       struct cp_err *err)
{
	if (request->build_id[0] || request->svma_end <= request->svma_start)
		return 0;
	if (binary_overlaps_code(binary, request->svma_start, request->svma_end))
		return 0;
	return cp_fail(err, -ESTALE,
		       "the file on disk has no code where the recorded one had (no build-id to "
		       "compare)");
}

static struct binary_options binary_options_of(const struct source_request *request,
					       const struct symbolizer_options *options)
{
	const bool worth_it = request->share_pct >= SYMBOLIZER_FETCH_PCT;
	return (struct binary_options){.debug_dirs = options->debug_dirs,
				       .n_debug_dirs = options->n_debug_dirs,
				       .root_pid = options->root_pid,
				       .kept_files = options->kept_files,
				       .objects = options->objects,
				       .debuginfod = worth_it ? options->debuginfod : NULL};
}

static int open_binary(struct source *source, const struct source_request *request,
		       const struct symbolizer_options *options, struct cp_err *err)
{
	const struct binary_options binary_options = binary_options_of(request, options);
	int rc = binary_open(request->path, request->build_id, &binary_options, &source->binary,
			     err);
	return rc < 0 ? rc : check_place(request, source->binary, err);
}

/* Bytes of our own vDSO: the kernel maps the same image into every process. */
static size_t vdso_size(const Elf64_Ehdr *header)
{
	uint64_t end = header->e_shoff + (uint64_t)header->e_shnum * header->e_shentsize;
	return end >= sizeof(*header) && end <= VDSO_MAX_BYTES ? (size_t)end : 0;
}

static int open_vdso(struct source *source, const struct source_request *request,
		     struct cp_err *err)
{
	const Elf64_Ehdr *header = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	size_t size = header ? vdso_size(header) : 0;
	if (size == 0)
		return cp_fail(err, -ENOENT, "this process has no vDSO to compare with");
	return binary_open_memory(header, size, request->build_id, &source->binary, err);
}

/* Return: false when the running kernel surely is not the build that was recorded. */
static bool kernel_build_matches(const char *build_id)
{
	struct elf_build_id wanted, found = {.n = 0};
	CP_CLEANUP(cp_free) char *notes = NULL;
	size_t n;
	if (!debug_file_parse_build_id(build_id, &wanted) ||
	    text_file_read("/sys/kernel/notes", KERNEL_NOTES_MAX_BYTES, &notes, &n) < 0)
		return true;
	return !debug_file_build_id_in_notes(notes, n, &found) ||
	       (found.n == wanted.n && memcmp(found.bytes, wanted.bytes, found.n) == 0);
}

/* The kernel is loaded elsewhere on every boot: addresses of an earlier one mean nothing now. */
static bool recorded_before_boot(int64_t start_ns)
{
	struct timespec now, up;
	if (start_ns <= 0 || clock_gettime(CLOCK_REALTIME, &now) != 0 ||
	    clock_gettime(CLOCK_BOOTTIME, &up) != 0)
		return false;
	int64_t boot_s = (int64_t)now.tv_sec - (int64_t)up.tv_sec;
	return start_ns / 1000000000 < boot_s - 60; /* a clock that was set meanwhile */
}

static int open_kernel(struct source *source, const struct source_request *request,
		       const struct symbolizer_options *options, struct cp_err *err)
{
	struct utsname host;
	if (uname(&host) < 0)
		return cp_fail(err, -errno, "uname: %s", strerror(errno));
	if (request->kernel_release && strcmp(host.release, request->kernel_release) != 0)
		return cp_fail(err, -ESTALE, "recorded under kernel %s, this one is %s",
			       request->kernel_release, host.release);
	if (!kernel_build_matches(request->build_id))
		return cp_fail(err, -ESTALE, "the running kernel is another build");
	if (recorded_before_boot(request->start_ns))
		return cp_fail(err, -ESTALE,
			       "recorded before this machine booted: kernel addresses differ");
	int rc = kallsyms_read(&source->kallsyms, "/proc/kallsyms", err);
	if (rc < 0)
		return rc;
	source->kind = SOURCE_KERNEL;
	const struct binary_options binary_options = binary_options_of(request, options);
	rc = kernel_debug_open(&source->kernel, host.release, request->build_id, &source->kallsyms,
			       &binary_options);
	return rc < 0 ? cp_fail_nomem(err) : 0;
}

static int open_jit(struct source *source, const struct source_request *request,
		    const struct symbolizer_options *options, struct cp_err *err)
{
	pid_t pid;
	if (!jit_code_process(request->path, &pid))
		return cp_fail(err, -EINVAL, "no pid in the name");
	source->kind = SOURCE_JIT;
	return jit_code_open(options->jit_files, pid, &source->jit, err);
}

int source_open(const struct source_request *request, const struct symbolizer_options *options,
		struct source **out, struct cp_err *err)
{
	struct source *source = calloc(1, sizeof(*source));
	if (!source)
		return cp_fail_nomem(err);
	source->kind = SOURCE_BINARY;
	int rc;
	if (strcmp(request->path, PROFILE_PATH_KERNEL) == 0)
		rc = open_kernel(source, request, options, err);
	else if (strcmp(request->path, PROFILE_PATH_VDSO) == 0)
		rc = open_vdso(source, request, err);
	else if (strncmp(request->path, PROFILE_PATH_JIT, strlen(PROFILE_PATH_JIT)) == 0)
		rc = open_jit(source, request, options, err);
	else if (request->path[0] == '[' || request->path[0] == '\0')
		rc = cp_fail(err, -ENOENT, "no file that could have names");
	else
		rc = open_binary(source, request, options, err);
	if (rc < 0)
		source_close(source);
	else
		*out = source;
	return rc;
}

bool source_has_functions(const struct source *source)
{
	return source->kind != SOURCE_BINARY || binary_has_functions(source->binary);
}

bool source_has_inlines(const struct source *source)
{
	return (source->kind == SOURCE_BINARY && binary_has_dwarf(source->binary)) ||
	       source->kernel.binary;
}

const char *source_shortcoming(const struct source *source)
{
	return source->kind == SOURCE_BINARY ? binary_shortcoming(source->binary) : "";
}

bool source_changed(const struct source *source)
{
	return (source->kind == SOURCE_BINARY && binary_changed(source->binary)) ||
	       (source->kernel.binary && binary_changed(source->kernel.binary));
}

uint32_t source_group(const struct source *source, uint64_t svma)
{
	if (source->kind == SOURCE_BINARY)
		return binary_group(source->binary, svma);
	return source->kind == SOURCE_KERNEL && source->kernel.binary
		       ? binary_group(source->kernel.binary, svma - source->kernel.slide)
		       : 0;
}

size_t source_files(const struct source *source, int *fds, size_t max)
{
	return source->kind == SOURCE_BINARY ? binary_open_files(source->binary, fds, max) : 0;
}

int source_find(struct source *source, uint64_t svma, const struct symbol_frame **frames, size_t *n)
{
	if (source->kind == SOURCE_BINARY)
		return binary_find(source->binary, svma, frames, n);
	*frames = &source->frame;
	if (source->kind == SOURCE_JIT) {
		*n = jit_code_find(source->jit, svma, &source->frame);
		return 0;
	}
	int rc = kernel_debug_find(&source->kernel, svma, frames, n);
	if (rc < 0 || *n > 0)
		return rc;
	*frames = &source->frame;
	const struct symbol *symbol = symbol_table_find(&source->kallsyms.table, svma);
	*n = symbol ? 1 : 0;
	if (symbol)
		source->frame = (struct symbol_frame){
			.name = symbol->name, .system_name = symbol->name, .file = ""};
	return 0;
}
