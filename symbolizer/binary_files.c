#include "binary_files.h"

#include "base/cleanup.h"
#include "base/regular_file.h"
#include "elf/mini_debug.h"
#include "live_file.h"
#include "object_file.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

void binary_files_init(struct binary_files *files)
{
	*files = (struct binary_files){
		.file = DEBUG_ELF_EMPTY, .debug = DEBUG_ELF_EMPTY, .mini = DEBUG_ELF_EMPTY};
}

void binary_files_deinit(struct binary_files *files)
{
	debug_elf_deinit(&files->mini);
	debug_elf_deinit(&files->debug);
	debug_elf_deinit(&files->file);
	for (size_t i = 0; i < sizeof(files->laid_out) / sizeof(files->laid_out[0]); i++)
		dwfl_end(files->laid_out[i]);
	free(files->mini_bytes);
	free(files->debug_path);
	free(files->bytes);
	binary_files_init(files);
}

static bool is_program(Elf *elf)
{
	GElf_Ehdr header;
	return gelf_getehdr(elf, &header) && (header.e_type == ET_EXEC || header.e_type == ET_DYN);
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
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	return cp_fail(err, -ESTALE, "the file on disk is another build (build-id %s)",
		       elf_build_id_hex(found, hex));
}

static int check_program(const struct debug_elf *file, const struct elf_build_id *wanted,
			 struct elf_build_id *found, struct cp_err *err)
{
	if (!is_program(file->elf))
		return cp_fail(err, -ENOEXEC, "not an ELF program or library");
	return check_build_id(file->elf, wanted, found, err);
}

/* @opened: owned here; or -errno */
static int try_fd(struct binary_files *files, int opened, const struct elf_build_id *wanted,
		  struct elf_build_id *found, struct cp_err *err)
{
	CP_CLEANUP(cp_close_fd) int fd = opened;
	if (fd == -EINVAL)
		return cp_fail(err, fd, "not a regular file");
	if (fd < 0)
		return cp_fail(err, fd, "%s", strerror(-fd));
	int rc = debug_elf_open(fd, &files->file);
	if (rc == -ENOMEM)
		return cp_fail_nomem(err);
	if (rc < 0)
		return cp_fail(err, rc, "not an ELF program or library");
	fd = -1;
	if (files->objects && object_file_is(files->file.elf)) {
		rc = object_file_lay_out(&files->file, &files->laid_out[0]);
		if (rc == 0)
			rc = check_build_id(files->file.elf, wanted, found, err);
		else
			cp_fail(err, rc, "not linked, and its relocations are damaged");
	} else {
		rc = check_program(&files->file, wanted, found, err);
	}
	if (rc < 0) {
		debug_elf_deinit(&files->file);
		dwfl_end(files->laid_out[0]);
		files->laid_out[0] = NULL;
	}
	return rc;
}

static int open_path(struct binary_files *files, const char *path, const char *root,
		     const struct elf_build_id *wanted, struct elf_build_id *found,
		     struct cp_err *err)
{
	struct cp_err below_err = {""};
	int below_rc = -ENOENT;
	char below[PATH_MAX];
	if (root && path[0] == '/' &&
	    (size_t)snprintf(below, sizeof(below), "%s%s", root, path) < sizeof(below))
		below_rc = try_fd(files, regular_file_open(below), wanted, found, &below_err);
	if (below_rc == 0)
		return 0;
	int rc = try_fd(files, regular_file_open(path), wanted, found, err);
	/* What is wrong with the target's own file says more than that we do not have it. */
	if (rc == -ENOENT && below_rc != -ENOENT)
		return cp_fail(err, below_rc, "%s", below_err.message);
	return rc;
}

int binary_files_open(struct binary_files *files, const struct binary_place *place,
		      const struct elf_build_id *wanted, struct elf_build_id *found,
		      struct cp_err *err)
{
	const char *path = place->path;
	files->objects = place->objects;
	/* Without a build-id nothing but the descriptor tells the file from its successor. */
	if (wanted->n == 0)
		return try_fd(files, kept_files_open(place->kept, path, wanted), wanted, found,
			      NULL) == 0
			       ? 0
			       : open_path(files, path, place->root, wanted, found, err);
	const int rc = open_path(files, path, place->root, wanted, found, err);
	if (rc == 0 ||
	    try_fd(files, kept_files_open(place->kept, path, wanted), wanted, found, NULL) == 0)
		return 0;
	if (place->pid > 0 &&
	    try_fd(files, live_file_open(place->pid, path), wanted, found, NULL) == 0)
		return 0;
	return rc;
}

int binary_files_open_memory(struct binary_files *files, const void *bytes, size_t n,
			     const struct elf_build_id *wanted, struct elf_build_id *found,
			     struct cp_err *err)
{
	files->bytes = malloc(n + 1);
	if (!files->bytes)
		return cp_fail_nomem(err);
	memcpy(files->bytes, bytes, n);
	int rc = debug_elf_open_memory(files->bytes, n, &files->file);
	if (rc == -ENOMEM)
		return cp_fail_nomem(err);
	if (rc < 0)
		return cp_fail(err, rc, "not an ELF image");
	return check_program(&files->file, wanted, found, err);
}

int binary_files_find_debug(struct binary_files *files, struct debug_file_search *search)
{
	GElf_Word crc = 0;
	if (files->file.elf) {
		search->link = dwelf_elf_gnu_debuglink(files->file.elf, &crc);
		search->link_crc = crc;
	}
	struct debug_file found;
	int rc = debug_file_find(search, &found);
	if (rc == -ESTALE)
		snprintf(files->trouble, sizeof(files->trouble),
			 "the debug file %s is of another build", found.path);
	if (rc == 0)
		rc = debug_elf_open(found.fd, &files->debug);
	if (rc == 0)
		found.fd = -1;
	if (rc == 0 && object_file_is(files->debug.elf)) { /* of a kernel module, perhaps */
		rc = files->objects ? object_file_lay_out(&files->debug, &files->laid_out[1])
				    : -ENOEXEC;
		if (rc < 0)
			debug_elf_deinit(&files->debug);
	}
	if (rc == 0) {
		files->debug_path = found.path;
		found.path = NULL;
	}
	debug_file_deinit(&found);
	return rc == -ENOMEM ? rc : 0;
}

int binary_files_find_mini(struct binary_files *files)
{
	uint64_t n;
	if (!files->file.elf)
		return 0;
	int rc = mini_debug_read(files->file.elf, &files->mini_bytes, &n);
	if (rc == 0)
		rc = debug_elf_open_memory(files->mini_bytes, n, &files->mini);
	return rc == -ENOMEM ? rc : 0;
}

bool binary_files_changed(const struct binary_files *files)
{
	return debug_elf_changed(&files->file) || debug_elf_changed(&files->debug);
}
