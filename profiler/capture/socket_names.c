#include "socket_names.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "clock.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TCP_LISTEN_STATE = 10, ENDPOINT_MAX = 64 };

void socket_names_deinit(struct socket_names *names)
{
	free(names->items);
	cp_index_deinit(&names->by_inode);
	*names = (struct socket_names){.n = 0};
}

/* An address as the kernel prints it: 32-bit words, each of the machine's byte order. */
static bool parse_address(const char *hex, bool v6, char *out, size_t cap)
{
	const size_t n_words = v6 ? 4 : 1;
	uint32_t words[4] = {0};
	if (strlen(hex) != n_words * 8)
		return false;
	for (size_t i = 0; i < n_words; i++)
		if (sscanf(hex + i * 8, "%8" SCNx32, &words[i]) != 1)
			return false;
	/* ::ffff:a.b.c.d, the IPv4 peer of an IPv6 socket */
	if (v6 && !words[0] && !words[1] && words[2] == htonl(0xffff))
		return inet_ntop(AF_INET, &words[3], out, (socklen_t)cap) != NULL;
	return inet_ntop(v6 ? AF_INET6 : AF_INET, words, out, (socklen_t)cap) != NULL;
}

static void format_endpoint(const char *address, unsigned port, char out[ENDPOINT_MAX])
{
	if (strchr(address, ':'))
		snprintf(out, ENDPOINT_MAX, "[%s]:%u", address, port);
	else
		snprintf(out, ENDPOINT_MAX, "%s:%u", address, port);
}

bool socket_names_parse_inet(const char *line, bool v6, struct socket_name *out)
{
	char local[33], remote[33], text[INET6_ADDRSTRLEN], endpoint[ENDPOINT_MAX];
	unsigned local_port, remote_port, state;
	uint64_t inode;
	if (sscanf(line,
		   " %*u: %32[0-9A-F]:%4x %32[0-9A-F]:%4x %2x %*x:%*x %*x:%*x %*x %*u %*u %" SCNu64,
		   local, &local_port, remote, &remote_port, &state, &inode) != 6 ||
	    inode == 0)
		return false;
	const bool has_peer = remote_port != 0 && state != TCP_LISTEN_STATE;
	if (!parse_address(has_peer ? remote : local, v6, text, sizeof(text)))
		return false;
	format_endpoint(text, has_peer ? remote_port : local_port, endpoint);
	out->inode = inode;
	snprintf(out->name, sizeof(out->name), "%s%s", has_peer ? "" : "listening on ", endpoint);
	return true;
}

bool socket_names_parse_unix(const char *line, struct socket_name *out)
{
	char path[SOCKET_NAME_MAX - 8];
	uint64_t inode;
	if (sscanf(line, "%*x: %*x %*x %*x %*x %*x %" SCNu64 " %99[^\n]", &inode, path) != 2 ||
	    inode == 0)
		return false;
	out->inode = inode;
	snprintf(out->name, sizeof(out->name), "unix:%s", path);
	return true;
}

static bool is_inode(const void *key, const void *owner, uint32_t id)
{
	const struct socket_names *names = owner;
	return names->items[id].inode == *(const uint64_t *)key;
}

static void add(struct socket_names *names, const struct socket_name *name)
{
	struct socket_name *item = CP_ARRAY_PUSH(names->items, names->n, names->cap);
	if (!item)
		return;
	*item = *name;
	if (cp_index_add(&names->by_inode, cp_hash_mix(name->inode, 0), (uint32_t)(names->n - 1)) <
	    0)
		names->n--;
}

static void read_table(struct socket_names *names, pid_t pid, const char *table)
{
	char path[64], line[512];
	struct socket_name name;
	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, table);
	CP_CLEANUP(cp_close_file) FILE *file = fopen(path, "re");
	if (!file)
		return;
	const bool is_unix = strcmp(table, "unix") == 0;
	const bool v6 = table[strlen(table) - 1] == '6';
	while (names->n < SOCKET_NAMES_MAX && fgets(line, sizeof(line), file)) {
		if (is_unix ? socket_names_parse_unix(line, &name)
			    : socket_names_parse_inet(line, v6, &name))
			add(names, &name);
	}
}

static const struct socket_name *find(const struct socket_names *names, uint64_t inode)
{
	const uint32_t id =
		cp_index_find(&names->by_inode, cp_hash_mix(inode, 0), is_inode, &inode, names);
	return id == CP_INDEX_NONE ? NULL : &names->items[id];
}

const char *socket_names_find(struct socket_names *names, pid_t pid, uint64_t inode)
{
	static const char *const tables[] = {"tcp", "tcp6", "udp", "udp6", "unix"};
	const struct socket_name *name = names->pid == pid ? find(names, inode) : NULL;
	const uint64_t now_ns = clock_now_ns();
	if (!name && (!names->read_ns || now_ns - names->read_ns > CLOCK_NS_PER_S)) {
		names->n = 0;
		cp_index_clear(&names->by_inode);
		for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
			read_table(names, pid, tables[i]);
		names->pid = pid;
		names->read_ns = clock_now_ns();
		name = find(names, inode);
	}
	return name ? name->name : NULL;
}
