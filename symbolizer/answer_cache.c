#include "answer_cache.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRY_SUFFIX ".sym"
#define TEMPORARY_PREFIX ".new-"

/* A file that a writer left behind: none takes as long. */
enum { STALE_AFTER_S = 3600, MAX_KEY_BYTES = PATH_MAX + 768, MAX_MAKER_BYTES = 128 };

bool answer_cache_default_dir(char *buf, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n = -1;
	if (cache && cache[0] == '/')
		n = snprintf(buf, size, "%s/cprof", cache);
	else if (home && home[0] == '/')
		n = snprintf(buf, size, "%s/.cache/cprof", home);
	return n > 0 && (size_t)n < size;
}

static bool is_ours_alone(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Return: the directory, -EACCES when others have a say in it, or another -errno. */
static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (is_ours_alone(fd))
		return fd;
	close(fd);
	return -EACCES;
}

/* Also with its parent, ~/.cache; not where that is somebody else's (sudo with one's own HOME). */
static int make_dir(const char *dir)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(dir, '/');
	if (!slash || slash == dir || (size_t)(slash - dir) >= sizeof(parent))
		return -EINVAL;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - dir), dir);
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	CP_CLEANUP(cp_close_fd) int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (parent_fd < 0 || fstat(parent_fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EACCES;
	if (mkdirat(parent_fd, slash + 1, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(dir);
}

/* FNV-1a: the same in every process, unlike cp_hash_bytes(). */
static uint64_t name_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
	return hash;
}

static void entry_name(const struct answer_cache_key *key, char name[64])
{
	size_t n = strspn(key->build_id, "0123456789abcdef");
	snprintf(name, 64, "%.*s-%016" PRIx64 ENTRY_SUFFIX, (int)(n < 32 ? n : 32), key->build_id,
		 name_hash(key->path));
}

/* One of those that make answers, as it is now. */
static bool maker_text(const char *path, char buf[MAX_MAKER_BYTES])
{
	struct stat st;
	if (stat(path, &st) != 0)
		return false;
	snprintf(buf, MAX_MAKER_BYTES, "%" PRIu64 " %" PRId64 ".%09ld %" PRId64 ".%09ld",
		 (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
		 (int64_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	return true;
}

/* Where libdw is: an update of its package may keep the version. */
static const char *libdw_path(void)
{
	Dl_info info;
	const bool found = dladdr((const void *)(uintptr_t)dwfl_version, &info) != 0;
	return found && info.dli_fname && info.dli_fname[0] == '/' ? info.dli_fname
								   : "/proc/self/exe";
}

/*
 * What an entry is for, in full. Those who made it are part of it, since others may name things
 * otherwise: this program, with its demangler, and libdw.
 */
static bool key_text(const struct answer_cache_key *key, char *buf, size_t size)
{
	char self[MAX_MAKER_BYTES], libdw[MAX_MAKER_BYTES];
	if (!maker_text("/proc/self/exe", self) || !maker_text(libdw_path(), libdw))
		return false;
	int n = snprintf(buf, size, "cprof %s\nlibdw %s %s\n%s\n%s", self, dwfl_version(NULL),
			 libdw, key->build_id, key->path);
	return n > 0 && (size_t)n < size;
}

static bool is_as_it_was(const char *path, const struct answer_input *was)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return false;
	struct answer_input now = answer_input_of(&st);
	return answer_input_equal(&now, was);
}

/* What @path names now: below the target's root, or as we see it ourselves. */
static bool names_as_it_was(const struct answer_cache_key *key, const char *path,
			    const struct answer_input *was)
{
	char below[PATH_MAX];
	return (key->root &&
		(size_t)snprintf(below, sizeof(below), "%s%s", key->root, path) < sizeof(below) &&
		is_as_it_was(below, was)) ||
	       is_as_it_was(path, was);
}

static bool inputs_are_as_they_were(const struct answer_cache_key *key,
				    const struct answer_file *file)
{
	/* The binary's real path is kept; without a build-id only the path asked for, perhaps a
	 * link that leads elsewhere by now, says which binary is meant. */
	if (file->n_inputs == 0 ||
	    (!key->build_id[0] && !names_as_it_was(key, key->path, &file->inputs[0])))
		return false;
	for (size_t i = 0; i < file->n_inputs; i++)
		if (!names_as_it_was(key, file->table.text + file->inputs[i].path,
				     &file->inputs[i]))
			return false;
	return true;
}

int answer_cache_load(const struct answer_cache_key *key, struct answer_file *out)
{
	char name[64], wanted[MAX_KEY_BYTES];
	CP_CLEANUP(cp_close_fd) int dir = open_dir(key->dir);
	entry_name(key, name);
	if (dir < 0 || !key_text(key, wanted, sizeof(wanted)))
		return -ENOENT;
	CP_CLEANUP(cp_close_fd)
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || !is_ours_alone(fd))
		return -ENOENT;
	int rc = answer_file_open(fd, out);
	if (rc < 0)
		return rc == -ENOMEM ? rc : -ENOENT;
	if (strcmp(out->key, wanted) != 0 || !inputs_are_as_they_were(key, out)) {
		answer_file_close(out);
		return -ENOENT;
	}
	futimens(fd, NULL); /* used now; a failure only makes it older than it is */
	return 0;
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), n_suffix = strlen(suffix);
	return n > n_suffix && strcmp(name + n - n_suffix, suffix) == 0;
}

/* Where a descriptor's file is, as far as the kernel can say. */
static bool path_of_fd(int fd, char buf[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, buf, PATH_MAX - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	return buf[0] == '/' && !has_suffix(buf, " (deleted)");
}

static int write_entry(int fd, const struct answer_cache_key *key,
		       const struct answer_origin *origins, size_t n_origins,
		       const struct answer_table *const *tables, size_t n_tables)
{
	struct answer_input inputs[ANSWER_FILE_MAX_INPUTS];
	char *paths[ANSWER_FILE_MAX_INPUTS] = {NULL};
	char text[MAX_KEY_BYTES];
	int rc = n_origins > 0 && n_origins <= ANSWER_FILE_MAX_INPUTS &&
				 key_text(key, text, sizeof(text))
			 ? 0
			 : -EINVAL;
	for (size_t i = 0; i < n_origins && rc == 0; i++) {
		char path[PATH_MAX];
		if (!path_of_fd(origins[i].fd, path)) {
			rc = -ENOENT;
			break;
		}
		inputs[i] = answer_input_of(&origins[i].is);
		paths[i] = strdup(path);
		if (!paths[i])
			rc = -ENOMEM;
	}
	if (rc == 0)
		rc = answer_file_write(fd, text, inputs, (const char *const *)paths, n_origins,
				       tables, n_tables, ANSWER_CACHE_MAX_ENTRY_BYTES);
	for (size_t i = 0; i < n_origins && i < ANSWER_FILE_MAX_INPUTS; i++)
		free(paths[i]);
	return rc;
}

int answer_cache_save(const struct answer_cache_key *key, const struct answer_origin *origins,
		      size_t n_origins, const struct answer_table *const *tables, size_t n_tables)
{
	char name[64], temporary[64];
	static unsigned int counter;
	CP_CLEANUP(cp_close_fd) int dir = open_dir(key->dir);
	if (dir == -ENOENT)
		dir = make_dir(key->dir);
	if (dir < 0)
		return dir;
	entry_name(key, name);
	snprintf(temporary, sizeof(temporary), TEMPORARY_PREFIX "%ld-%u", (long)getpid(),
		 __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED));
	unlinkat(dir, temporary, 0); /* of a process that had our number */
	CP_CLEANUP(cp_close_fd)
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = write_entry(fd, key, origins, n_origins, tables, n_tables);
	if (rc == 0 && renameat(dir, temporary, dir, name) < 0)
		rc = -errno;
	if (rc < 0)
		unlinkat(dir, temporary, 0);
	else
		answer_cache_trim(key->dir, ANSWER_CACHE_MAX_BYTES);
	return rc;
}

struct entry {
	char name[64];
	uint64_t size;
	struct timespec used;
};

struct entries {
	struct entry *entries;
	size_t n, cap;
	uint64_t bytes;
};

/* Note an entry; remove what a writer that was killed left behind. */
static void look_at(struct entries *entries, int dir, const char *name)
{
	struct stat st;
	struct entry entry = {.size = 0};
	bool temporary = strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
	if ((!temporary && !has_suffix(name, ENTRY_SUFFIX)) || strlen(name) >= sizeof(entry.name) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	if (temporary) {
		if (st.st_mtim.tv_sec + STALE_AFTER_S < time(NULL))
			unlinkat(dir, name, 0);
		return;
	}
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	entry.size = (uint64_t)st.st_size;
	entry.used = st.st_mtim;
	struct entry *added = CP_ARRAY_PUSH(entries->entries, entries->n, entries->cap);
	if (added)
		*added = entry;
	entries->bytes += entry.size;
}

static int compare_use(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	if (a->used.tv_sec != b->used.tv_sec)
		return a->used.tv_sec < b->used.tv_sec ? -1 : 1;
	return a->used.tv_nsec < b->used.tv_nsec ? -1 : a->used.tv_nsec > b->used.tv_nsec;
}

void answer_cache_trim(const char *dir, uint64_t max_bytes)
{
	struct entries entries = {.n = 0};
	DIR *stream = opendir(dir);
	if (!stream)
		return;
	for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
		look_at(&entries, dirfd(stream), entry->d_name);
	if (entries.bytes > max_bytes && entries.n > 0)
		qsort(entries.entries, entries.n, sizeof(*entries.entries), compare_use);
	for (size_t i = 0; i < entries.n && entries.bytes > max_bytes; i++) {
		unlinkat(dirfd(stream), entries.entries[i].name, 0);
		entries.bytes -= entries.entries[i].size;
	}
	free(entries.entries);
	closedir(stream);
}
