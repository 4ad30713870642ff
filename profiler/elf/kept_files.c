#include "kept_files.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

enum {
	KEPT_MAX = 256,
	/* of the descriptors that a process may have: the kernel's events need most */
	KEPT_PART = 8,
};

struct kept_file {
	int fd;
	char *path;
	struct elf_build_id id;
};

struct kept_files {
	struct kept_file *files;
	size_t n, cap, max;
};

struct kept_files *kept_files_create(void)
{
	struct kept_files *files = calloc(1, sizeof(*files));
	struct rlimit limit;
	if (!files)
		return NULL;
	files->max = KEPT_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / KEPT_PART < files->max)
		files->max = limit.rlim_cur / KEPT_PART;
	return files;
}

void kept_files_destroy(struct kept_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->n; i++) {
		cp_close_fd(&files->files[i].fd);
		free(files->files[i].path);
	}
	free(files->files);
	free(files);
}

bool kept_files_has_room(const struct kept_files *files)
{
	return files->n < files->max;
}

void kept_files_add(struct kept_files *files, int fd, const char *path,
		    const struct elf_build_id *id)
{
	CP_CLEANUP(cp_close_fd) int owned = fd;
	CP_CLEANUP(cp_free) char *copy = strdup(path);
	if (!copy || !kept_files_has_room(files))
		return;
	struct kept_file *file = CP_ARRAY_PUSH(files->files, files->n, files->cap);
	if (!file)
		return;
	*file = (struct kept_file){.fd = owned, .path = copy, .id = *id};
	owned = -1;
	copy = NULL;
}

static bool is_it(const struct kept_file *file, const char *path, const struct elf_build_id *id)
{
	if (id->n > 0)
		return file->id.n == id->n && memcmp(file->id.bytes, id->bytes, id->n) == 0;
	return file->id.n == 0 && strcmp(file->path, path) == 0;
}

int kept_files_open(const struct kept_files *files, const char *path, const struct elf_build_id *id)
{
	for (size_t i = 0; files && i < files->n; i++) {
		if (!is_it(&files->files[i], path, id))
			continue;
		const int fd = fcntl(files->files[i].fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}
