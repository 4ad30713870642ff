#include "heap_files.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "heap/heap_move.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { ROOM_BYTES = 32 << 20, NUMBERS = 1000 };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool has_room(const char *folder)
{
	struct statfs fs;
	return statfs(folder, &fs) == 0 && fs.f_type == TMPFS_MAGIC && access(folder, W_OK) == 0 &&
	       (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= ROOM_BYTES;
}

int heap_files_init(struct heap_files *files, const char *command, struct cp_err *err)
{
	char folder[PATH_MAX / 2] = "/dev/shm";
	char name[128];
	struct timespec now = {0};
	*files = (struct heap_files){0};
	/* absolute: the command may change its working directory, and its children's */
	if (!has_room(folder) && !getcwd(folder, sizeof(folder)))
		return cp_fail(err, -errno, "the working directory: %s", strerror(errno));
	snprintf(name, sizeof(name), "%s", base_name(command));
	/* it goes into a pattern of the shim's, and into one of glob()'s */
	for (char *c = name; *c; c++)
		if (strchr("%*?[]\\", *c))
			*c = '_';
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(files->prefix, sizeof(files->prefix), "%s/%s.run%ld-%lx", folder, name,
		 (long)getpid(), (unsigned long)now.tv_nsec);
	if (snprintf(files->pattern, sizeof(files->pattern), "%s.%%p" HEAP_FILE_SUFFIX,
		     files->prefix) >= HEAP_PATH_BYTES - 32 ||
	    strpbrk(folder, "%*?[]\\"))
		return cp_fail(err, -ENAMETOOLONG,
			       "no place for the heap file: /dev/shm has no room, and the working "
			       "directory's name is too long or has special characters");
	return 0;
}

void heap_files_deinit(struct heap_files *files)
{
	free(files->made);
	*files = (struct heap_files){0};
}

bool heap_files_has(const struct heap_files *files, pid_t pid)
{
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "%s.%ld" HEAP_FILE_SUFFIX, files->prefix, (long)pid);
	return access(path, F_OK) == 0;
}

/* By the pid in its name: PREFIX.PID.cprof-heap, or with ".2" behind. */
static bool is_abandoned(const char *path)
{
	const char *end = strstr(base_name(path), HEAP_FILE_SUFFIX);
	long pid = 0;
	while (end && end > path && end[-1] != '.')
		end--;
	return end && sscanf(end, "%ld" HEAP_FILE_SUFFIX, &pid) == 1 && pid > 0 && pid <= INT_MAX &&
	       kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static int look(struct heap_files *files, const char *path, struct cp_err *err)
{
	struct heap_file file;
	struct heap_header header;
	struct heap_target target;
	struct cp_err ignored;
	if (heap_file_open(path, &file, &ignored))
		return 0;
	const int rc = heap_file_peek(&file, &header, &target, &ignored);
	heap_file_close(&file);
	/* left by a process that was killed while it made it: nothing is in it */
	if (rc == -EAGAIN && is_abandoned(path))
		unlink(path);
	if (rc)
		return 0;
	struct heap_made *made = CP_ARRAY_PUSH(files->made, files->n, files->cap);
	if (!made)
		return cp_fail_nomem(err);
	*made = (struct heap_made){
		.pid = header.pid,
		.start_ns = header.start_realtime_ns,
		.state = target.state,
		.empty = header.n_sites <= 1 && header.peak_bytes == 0,
		.matches = true,
	};
	snprintf(made->path, sizeof(made->path), "%s", path);
	snprintf(made->exe, sizeof(made->exe), "%s", header.exe);
	return 0;
}

static int by_start(const void *left, const void *right)
{
	const struct heap_made *a = left, *b = right;
	return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

int heap_files_find(struct heap_files *files, struct cp_err *err)
{
	char pattern[PATH_MAX + 8];
	glob_t found = {0};
	snprintf(pattern, sizeof(pattern), "%s.*", files->prefix);
	const int got = glob(pattern, GLOB_NOSORT, NULL, &found);
	int rc = got == GLOB_NOSPACE ? cp_fail_nomem(err) : 0;
	files->n = 0;
	for (size_t i = 0; i < found.gl_pathc && !rc; i++)
		rc = look(files, found.gl_pathv[i], err);
	globfree(&found);
	if (files->n)
		qsort(files->made, files->n, sizeof(*files->made), by_start);
	return rc;
}

void heap_files_note_end(const struct heap_files *files, pid_t root, uint64_t end_ns)
{
	for (size_t i = 0; i < files->n; i++) {
		const struct heap_made *made = &files->made[i];
		if (made->pid != (uint32_t)root || made->state != HEAP_TARGET_KILLED)
			continue;
		CP_CLEANUP(cp_close_fd) int fd = open(made->path, O_WRONLY | O_CLOEXEC);
		const ssize_t put = fd < 0 ? -1
					   : pwrite(fd, &end_ns, sizeof(end_ns),
						    offsetof(struct heap_header, end_monotonic_ns));
		(void)put; /* without it the report says that the end is not known */
	}
}

/* @pattern with each %p replaced by the pid. Return: false when there is none. */
static bool expand(const char *pattern, uint32_t pid, char *out, size_t size)
{
	size_t n = 0;
	bool any = false;
	for (; *pattern && n + 16 < size; pattern++) {
		if (pattern[0] == '%' && pattern[1] == 'p') {
			n += (size_t)snprintf(out + n, size - n, "%u", pid);
			any = true;
			pattern++;
		} else {
			out[n++] = *pattern;
		}
	}
	out[n] = '\0';
	return any;
}

/* A name that nobody has. The file of a command may be overwritten when it was named so. */
static void free_name(const char *stem, const char *suffix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s%s", stem, suffix);
	for (unsigned i = 2; i < NUMBERS && access(out, F_OK) == 0; i++)
		snprintf(out, PATH_MAX, "%s.%u%s", stem, i, suffix);
}

static void choose(const struct heap_made *made, bool is_last_of_root, const char *command,
		   const char *output, char out[PATH_MAX])
{
	char stem[PATH_MAX - 64];
	if (!output) {
		snprintf(stem, sizeof(stem), "%s.%u",
			 base_name(is_last_of_root ? command : made->exe), made->pid);
		free_name(stem, HEAP_FILE_SUFFIX, out);
	} else if (expand(output, made->pid, stem, sizeof(stem))) {
		free_name(stem, "", out);
	} else if (is_last_of_root) {
		snprintf(out, PATH_MAX, "%s", output);
	} else {
		snprintf(stem, sizeof(stem), "%.*s.%u", (int)(PATH_MAX - 128), output, made->pid);
		free_name(stem, "", out);
	}
}

int heap_files_move(struct heap_files *files, pid_t root, const char *command, const char *output,
		    struct cp_err *err)
{
	size_t n_of_root = 0;
	/* the last one of the command is its program; those before it were replaced by exec */
	for (size_t i = 0; i < files->n; i++)
		n_of_root += files->made[i].pid == (uint32_t)root;
	for (size_t i = 0; i < files->n; i++) {
		struct heap_made *made = &files->made[i];
		char to[PATH_MAX];
		const bool is_root = made->pid == (uint32_t)root;
		if (is_root)
			n_of_root--;
		if (made->state == HEAP_TARGET_RUNNING)
			continue;
		choose(made, is_root && n_of_root == 0, command, output, to);
		const int rc = heap_move(made->path, to, err);
		if (rc)
			return rc;
		snprintf(made->path, sizeof(made->path), "%s", to);
	}
	return 0;
}
