#include "mapped_file.h"

#include "base/cleanup.h"
#include "base/regular_file.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* stat() gives a device that the kernel's maps do not: one for each subvolume or layer. */
static bool makes_up_devices(int fd)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/*
 * True when @fd, of which @st is, is the file that was mapped. The kernel's maps and stat() name
 * the same device and inode, but on btrfs and overlayfs different devices; so there an equal inode
 * of a file that reaches as far as the mapping must do.
 *
 * @link: where /proc/PID/map_files points for exactly this mapping, or NULL. On a file system that
 *        makes up inodes too it still names the right file.
 */
static bool is_mapped_file(const struct mapping *mapping, int fd, const struct stat *st,
			   const char *link)
{
	if ((uint64_t)st->st_size <= mapping->file_off)
		return false;
	const bool same_dev =
		major(st->st_dev) == mapping->dev_major && minor(st->st_dev) == mapping->dev_minor;
	const bool same_inode = (uint64_t)st->st_ino == mapping->inode;
	if (same_dev || (same_inode && makes_up_devices(fd)))
		return same_inode;
	return link && strcmp(link, mapping->path) == 0;
}

/* Open @path if it is the mapped file. Return: a descriptor, or -1. */
static int open_if_mapped(const char *path, const struct mapping *mapping, const char *link)
{
	struct stat st;
	CP_CLEANUP(cp_close_fd) int fd = regular_file_open(path);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_mapped_file(mapping, fd, &st, link))
		return -1;
	const int opened = fd;
	fd = -1;
	return opened;
}

int mapped_file_open(pid_t pid, const struct mapping *mapping)
{
	char path[PATH_MAX + 64], link[PATH_MAX];
	/* The mapping itself: right also when the file was deleted or replaced. Needs
	 * CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc(5)). */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)mapping->avma_start, (unsigned long long)mapping->avma_end);
	const ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n >= 0)
		link[n] = '\0';
	int fd = open_if_mapped(path, mapping, n >= 0 ? link : NULL);
	if (fd >= 0)
		return fd;
	/* The deleted executable of a process of ours, without that capability. */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	fd = open_if_mapped(path, mapping, NULL);
	if (fd >= 0)
		return fd;
	/* Through the process's own mount namespace; then ours, for one that is gone. */
	if (snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, mapping->path) <
	    (int)sizeof(path)) {
		fd = open_if_mapped(path, mapping, NULL);
		if (fd >= 0)
			return fd;
	}
	return open_if_mapped(mapping->path, mapping, NULL);
}
