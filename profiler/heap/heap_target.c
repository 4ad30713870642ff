#include "heap_target.h"

#include "base/cleanup.h"
#include "heap_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char *const state_names[HEAP_TARGET_STATES] = {
	[HEAP_TARGET_RUNNING] = "running", [HEAP_TARGET_COPY] = "copy",
	[HEAP_TARGET_EXITED] = "exited",   [HEAP_TARGET_REPLACED] = "replaced",
	[HEAP_TARGET_KILLED] = "killed",
};

const char *heap_target_state_name(enum heap_target_state state)
{
	return state_names[state];
}

struct maps_entry {
	uint64_t start, end;
	uint64_t inode;
	bool shared_writable;
	char path[PATH_MAX]; /* with " (deleted)", if so */
};

/* Call @found for the mappings of a process until it returns other than 0. */
static int each_mapping(pid_t pid, int (*found)(void *ctx, const struct maps_entry *entry),
			void *ctx)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%ld/maps", (long)pid);
	CP_CLEANUP(cp_close_file) FILE *maps = fopen(name, "re");
	if (!maps)
		return -errno;
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	int rc = 0;
	while (rc == 0 && getline(&line, &cap, maps) > 0) {
		struct maps_entry entry = {0};
		char modes[8] = "";
		int path_at = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*x %*x:%*x %" SCNu64 " %n",
			   &entry.start, &entry.end, modes, &entry.inode, &path_at) < 4)
			continue;
		entry.shared_writable = modes[1] == 'w' && modes[3] == 's';
		line[strcspn(line, "\n")] = '\0';
		snprintf(entry.path, sizeof(entry.path), "%s", path_at ? line + path_at : "");
		rc = found(ctx, &entry);
	}
	return rc;
}

static int is_same_file(void *ctx, const struct maps_entry *entry)
{
	const struct stat *st = ctx;
	/* no device: on btrfs and overlayfs the map has another one than stat() */
	return entry->shared_writable && entry->inode == st->st_ino;
}

static bool maps_file(pid_t pid, int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && each_mapping(pid, is_same_file, &st) == 1;
}

/* State and start time of a process. Return: false when it is gone. */
static bool read_stat(pid_t pid, char *state, uint64_t *start_ticks)
{
	char name[64], text[1024];
	snprintf(name, sizeof(name), "/proc/%ld/stat", (long)pid);
	CP_CLEANUP(cp_close_fd) int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	const ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* behind the name, which can hold anything: fields 3 and 22 */
	const char *at = strrchr(text, ')');
	return at && sscanf(at + 1,
			    " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			    "%*d %*d %" SCNu64,
			    state, start_ticks) == 2;
}

/* The very process that made the file, by the pid it knew itself by, and not yet dead. */
static bool is_alive(const struct heap_header *header)
{
	char state;
	uint64_t start_ticks;
	return header->pid && header->pid <= INT_MAX &&
	       read_stat((pid_t)header->pid, &state, &start_ticks) &&
	       start_ticks == header->start_boot_ticks && state != 'Z' && state != 'X';
}

static bool runs_other_program(const struct heap_header *header)
{
	char name[64], exe[HEAP_PATH_BYTES];
	snprintf(name, sizeof(name), "/proc/%u/exe", header->pid);
	const ssize_t n = readlink(name, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	const size_t known = strlen(header->exe);
	/* " (deleted)" may have been added since */
	return strncmp(exe, header->exe, known) != 0;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = {0};
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t since(uint64_t now_ns, uint64_t start_ns)
{
	return now_ns > start_ns ? now_ns - start_ns : 0;
}

/*
 * The moment that a file shows which nobody writes to. Nothing in it says so; the last time it was
 * written to does when it is a copy (of a mapped file that time is mostly its beginning).
 */
static void guess_now(const struct heap_file *file, const struct heap_header *header,
		      uint64_t newest_ns, struct heap_target *target)
{
	const uint64_t copied_ns = since((uint64_t)file->mtime_ns, header->start_realtime_ns);
	const uint64_t until = since(clock_ns(CLOCK_REALTIME), header->start_realtime_ns);
	const bool by_copy =
		target->state == HEAP_TARGET_COPY && copied_ns >= newest_ns && copied_ns <= until;
	const uint64_t peak_ns = since(header->peak_monotonic_ns, header->start_monotonic_ns);
	target->now_ns = by_copy ? copied_ns : newest_ns > peak_ns ? newest_ns : peak_ns;
	target->now_is_guess = !by_copy;
}

static void tell(const struct heap_file *file, const struct heap_header *header, uint64_t newest_ns,
		 struct heap_target *out)
{
	struct heap_target target = {.state = HEAP_TARGET_KILLED};
	const uint64_t end_ns = header->end_monotonic_ns;
	const bool alive = file->pid || is_alive(header);
	const pid_t pid = file->pid ? file->pid : (pid_t)header->pid;
	if (header->state == HEAP_STATE_EXITED)
		target.state = HEAP_TARGET_EXITED;
	else if (header->state == HEAP_STATE_REPLACED)
		target.state = HEAP_TARGET_REPLACED;
	else if (alive && (file->pid || maps_file(pid, file->fd)))
		target.state = HEAP_TARGET_RUNNING;
	else if (alive && runs_other_program(header))
		target.state = HEAP_TARGET_REPLACED;
	else if (alive)
		target.state = HEAP_TARGET_COPY;
	if (target.state == HEAP_TARGET_RUNNING) {
		target.pid = pid;
		target.now_ns = since(clock_ns(CLOCK_MONOTONIC), header->start_monotonic_ns);
	} else if (end_ns) {
		target.now_ns = since(end_ns, header->start_monotonic_ns);
	} else {
		guess_now(file, header, newest_ns, &target);
	}
	if (target.now_ns < newest_ns)
		target.now_ns = newest_ns;
	*out = target;
}

static void note_times(struct heap_file *file)
{
	struct stat st;
	if (fstat(file->fd, &st) == 0)
		file->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

int heap_file_open(const char *path, struct heap_file *out, struct cp_err *err)
{
	struct heap_file file = {.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
	if (file.fd < 0)
		return cp_fail(err, -errno, "%s: %s", path, strerror(errno));
	snprintf(file.path, sizeof(file.path), "%s", path);
	note_times(&file);
	*out = file;
	return 0;
}

void heap_file_close(struct heap_file *file)
{
	cp_close_fd(&file->fd);
	file->fd = -1;
}

struct search {
	pid_t pid;
	struct heap_file *out;
	uint32_t forked_from; /* whose file it maps without being recorded itself; 0 = none */
	bool seen;            /* a mapping that looks like one by its name */
	int failed;           /* -errno of opening that */
};

static bool is_heap_file(int fd)
{
	char magic[sizeof(HEAP_FILE_MAGIC)] = "";
	return pread(fd, magic, sizeof(magic) - 1, 0) == sizeof(magic) - 1 &&
	       memcmp(magic, HEAP_FILE_MAGIC, sizeof(magic) - 1) == 0;
}

/* The pid that a process knows itself by: the innermost of its namespaces. 0 = cannot be told. */
static uint32_t own_pid(pid_t pid)
{
	char name[64];
	uint32_t innermost = 0;
	snprintf(name, sizeof(name), "/proc/%ld/status", (long)pid);
	CP_CLEANUP(cp_close_file) FILE *status = fopen(name, "re");
	CP_CLEANUP(cp_free) char *line = NULL;
	size_t cap = 0;
	while (status && !innermost && getline(&line, &cap, status) > 0) {
		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		const char *last = strrchr(line, '\t');
		if (!last || sscanf(last, "%" SCNu32, &innermost) != 1)
			break;
	}
	return innermost;
}

/* A child that was only forked keeps its parent's mapping, and is not what the file is about. */
static bool is_of_parent(pid_t pid, int fd, uint32_t *parent)
{
	struct heap_header header;
	char state;
	uint64_t start_ticks;
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) || !header.pid)
		return false;
	const uint32_t own = own_pid(pid);
	const bool other_pid = own && own != header.pid;
	/* in a namespace of its own a child can have its parent's number */
	const bool other_start = header.start_boot_ticks && read_stat(pid, &state, &start_ticks) &&
				 start_ticks != header.start_boot_ticks;
	*parent = header.pid;
	return other_pid || other_start;
}

static int open_checked(const char *path, const struct maps_entry *entry)
{
	struct stat st;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_ino == entry->inode && is_heap_file(fd))
		return fd;
	close(fd);
	return -ENOENT;
}

static int try_mapping(void *ctx, const struct maps_entry *entry)
{
	struct search *search = ctx;
	if (!entry->shared_writable || !entry->inode || entry->path[0] != '/')
		return 0;
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "/proc/%ld/root%s", (long)search->pid, entry->path);
	int fd = open_checked(path, entry);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%ld/map_files/%" PRIx64 "-%" PRIx64,
			 (long)search->pid, entry->start, entry->end);
		fd = open_checked(path, entry);
	}
	if (fd < 0) {
		if (strstr(entry->path, HEAP_FILE_SUFFIX)) {
			search->seen = true;
			search->failed = fd;
			snprintf(search->out->path, PATH_MAX, "%s", entry->path);
		}
		return 0;
	}
	uint32_t parent;
	if (is_of_parent(search->pid, fd, &parent)) {
		search->forked_from = parent;
		close(fd);
		return 0;
	}
	search->out->fd = fd;
	search->out->pid = search->pid;
	snprintf(search->out->path, PATH_MAX, "%s", entry->path);
	return 1;
}

int heap_file_find(pid_t pid, struct heap_file *out, struct cp_err *err)
{
	struct heap_file file = {.fd = -1};
	struct search search = {.pid = pid, .out = &file};
	const int rc = each_mapping(pid, try_mapping, &search);
	if (rc == -ENOENT)
		return cp_fail(err, -ESRCH, "no process %ld", (long)pid);
	if (rc < 0)
		return cp_fail(err, rc,
			       "the memory map of process %ld cannot be read: %s; run as the "
			       "process's user, or as root",
			       (long)pid, strerror(-rc));
	if (rc == 1) {
		note_times(&file);
		*out = file;
		return 0;
	}
	if (search.forked_from)
		return cp_fail(err, -ENOENT,
			       "%ld was forked by %" PRIu32 " and is not recorded; record forked "
			       "children with --follow all",
			       (long)pid, search.forked_from);
	if (search.seen)
		return cp_fail(err, search.failed,
			       "the heap file of process %ld, %s, cannot be opened: %s; run as the "
			       "process's user, or as root if the file was deleted",
			       (long)pid, file.path, strerror(-search.failed));
	return cp_fail(
		err, -ENOENT,
		"process %ld is not recorded: libcprof_heap.so is not in it, which has to be "
		"there from its start; start it with 'cprof heap run -- CMD', or with "
		"LD_PRELOAD=libcprof_heap.so in its environment",
		(long)pid);
}

int heap_file_peek(const struct heap_file *file, struct heap_header *out,
		   struct heap_target *target, struct cp_err *err)
{
	struct heap_source source = {0};
	int rc = elf_source_of_fd(file->fd, file->path, err, &source.file);
	if (!rc)
		rc = heap_read_header(&source, out);
	if (!rc)
		tell(file, out, 0, target);
	return rc;
}

int heap_file_read(const struct heap_file *file, struct heap_snapshot **out,
		   struct heap_target *target, struct cp_err *err)
{
	struct heap_header header;
	int rc = heap_file_peek(file, &header, target, err);
	if (rc)
		return rc;
	const bool live = target->state == HEAP_TARGET_RUNNING || maps_file(header.pid, file->fd);
	rc = heap_snapshot_read_fd(file->fd, file->path, live, out, err);
	if (!rc)
		tell(file, &(*out)->header, (*out)->newest_ns, target);
	return rc;
}
