/*
 * socket_names.h - who is at the other end of a socket, by its inode.
 *
 * From /proc/PID/net: tcp, udp and their IPv6 tables, and unix. A table is read when an inode is
 * asked for that is not known, at most once a second, and no further than SOCKET_NAMES_MAX lines:
 * on a server with a hundred thousand connections a reading takes tens of milliseconds.
 *
 * Depends on: base. Threads: one at a time.
 */
#ifndef CPROF_CAPTURE_SOCKET_NAMES_H
#define CPROF_CAPTURE_SOCKET_NAMES_H

#include "base/index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SOCKET_NAME_MAX = 108, SOCKET_NAMES_MAX = 16384 };

struct socket_name {
	uint64_t inode;
	char name[SOCKET_NAME_MAX];
};

struct socket_names {
	struct socket_name *items;
	size_t n, cap;
	struct cp_index by_inode;
	pid_t pid; /* whose network the table is of */
	uint64_t read_ns;
};

/** All-zero is the initial state. */
void socket_names_deinit(struct socket_names *names);

/**
 * Return: the peer's address, or "listening on" the own one; NULL when unknown. Borrowed until the
 *         next call.
 */
const char *socket_names_find(struct socket_names *names, pid_t pid, uint64_t inode);

/** Parse a line of /proc/net/tcp or udp (@v6: tcp6, udp6). Return: false: it is none. */
bool socket_names_parse_inet(const char *line, bool v6, struct socket_name *out);

/** The same of /proc/net/unix. */
bool socket_names_parse_unix(const char *line, struct socket_name *out);

#endif
