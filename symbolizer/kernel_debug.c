#include "kernel_debug.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_DEBUG_DIR "/usr/lib/debug"

/* Where packages and builds put it, after a debug directory or "". */
static const char *const places[] = {
	"/boot/vmlinux-%s",              /* Debian, Ubuntu below the debug directory; builds */
	"/lib/modules/%s/vmlinux",       /* Fedora, SUSE likewise */
	"/lib/modules/%s/build/vmlinux", /* the tree it was built in */
	"/vmlinux-%s",
};

/* Open a file when it is the kernel's and knows more than symbols. Return: -ENOMEM, else 0. */
static int try_file(struct kernel_debug *debug, const char *path, const char *build_id,
		    const struct binary_options *options)
{
	struct binary *binary;
	const int rc = binary_open(path, build_id, options, &binary, NULL);
	if (rc < 0)
		return rc == -ENOMEM ? rc : 0;
	if (binary_has_dwarf(binary))
		debug->binary = binary;
	else
		binary_close(binary);
	return 0;
}

static int try_places(struct kernel_debug *debug, const char *dir, const char *release,
		      const char *build_id, const struct binary_options *options)
{
	char name[PATH_MAX], path[PATH_MAX];
	int rc = 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !debug->binary && !rc; i++) {
		/* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): of the list above */
		int n = snprintf(name, sizeof(name), places[i], release);
		if (n < 0 || (size_t)n >= sizeof(name))
			continue;
		n = snprintf(path, sizeof(path), "%s%s", dir, name);
		if (n > 0 && (size_t)n < sizeof(path) && access(path, R_OK) == 0)
			rc = try_file(debug, path, build_id, options);
	}
	return rc;
}

/* Not from servers: it is the largest of all, and would take the time of all the others. */
static int find_file(struct kernel_debug *debug, const char *release, const char *build_id,
		     const struct binary_options *options)
{
	struct binary_options here = *options;
	here.debuginfod = NULL;
	int rc = 0;
	for (size_t i = 0; i < options->n_debug_dirs && !debug->binary && !rc; i++)
		rc = try_places(debug, options->debug_dirs[i], release, build_id, &here);
	if (!debug->binary && !rc)
		rc = try_places(debug, SYSTEM_DEBUG_DIR, release, build_id, &here);
	if (!debug->binary && !rc)
		rc = try_places(debug, "", release, build_id, &here);
	if (!debug->binary && !rc)
		rc = try_file(debug, "vmlinux", build_id, &here);
	return rc;
}

static bool address_in_memory(const struct kallsyms *kallsyms, const char *name, uint64_t *out)
{
	for (size_t i = 0; i < kallsyms->table.n; i++) {
		if (strcmp(kallsyms->table.symbols[i].name, name) != 0)
			continue;
		*out = kallsyms->table.symbols[i].start;
		return true;
	}
	return false;
}

int kernel_debug_open(struct kernel_debug *debug, const char *release, const char *build_id,
		      const struct kallsyms *kallsyms, const struct binary_options *options)
{
	static const char *const anchors[] = {"_text", "_stext"};
	uint64_t loaded, stated;
	*debug = (struct kernel_debug){.binary = NULL};
	if (!build_id[0])
		return 0;
	const int rc = find_file(debug, release, build_id, options);
	if (!debug->binary)
		return rc;
	for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++) {
		if (!address_in_memory(kallsyms, anchors[i], &loaded) ||
		    !binary_find_symbol(debug->binary, anchors[i], &stated))
			continue;
		debug->slide = loaded - stated;
		return 0;
	}
	kernel_debug_close(debug);
	return 0;
}

void kernel_debug_close(struct kernel_debug *debug)
{
	binary_close(debug->binary);
	*debug = (struct kernel_debug){.binary = NULL};
}

int kernel_debug_find(struct kernel_debug *debug, uint64_t address,
		      const struct symbol_frame **frames, size_t *n)
{
	const uint64_t svma = address - debug->slide;
	*n = 0;
	if (!debug->binary || svma == UINT64_MAX ||
	    !binary_overlaps_code(debug->binary, svma, svma + 1))
		return 0;
	return binary_find(debug->binary, svma, frames, n);
}
