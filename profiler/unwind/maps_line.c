#include "maps_line.h"

#include <string.h>

struct scan {
	char *at;
	bool ok;
};

static int digit_value(char c, unsigned base)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (base == 16 && c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* A number of at least one digit, then @end, which is consumed ('\0' is not). */
static uint64_t scan_number(struct scan *scan, unsigned base, char end)
{
	uint64_t value = 0;
	const char *const start = scan->at;
	int digit;
	while (scan->ok && (digit = digit_value(*scan->at, base)) >= 0) {
		uint64_t next;
		if (__builtin_mul_overflow(value, (uint64_t)base, &next) ||
		    __builtin_add_overflow(next, (uint64_t)digit, &value))
			scan->ok = false;
		scan->at++;
	}
	if (scan->at == start || *scan->at != end)
		scan->ok = false;
	if (scan->ok && end)
		scan->at++;
	return value;
}

static void unescape_newlines(char *path)
{
	char *to = path;
	for (const char *from = path; *from; to++) {
		if (strncmp(from, "\\012", 4) == 0) {
			*to = '\n';
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool cut_suffix(char *text, const char *suffix)
{
	const size_t n = strlen(text), n_suffix = strlen(suffix);
	if (n <= n_suffix || strcmp(text + n - n_suffix, suffix) != 0)
		return false;
	text[n - n_suffix] = '\0';
	return true;
}

bool maps_line_parse(char *line, struct maps_line *out)
{
	struct maps_line parsed = {0};
	struct scan scan = {.at = line, .ok = true};
	line[strcspn(line, "\n")] = '\0';
	parsed.avma_start = scan_number(&scan, 16, '-');
	parsed.avma_end = scan_number(&scan, 16, ' ');
	if (!scan.ok || strlen(scan.at) < 5 || scan.at[4] != ' ')
		return false;
	parsed.exec = scan.at[2] == 'x';
	scan.at += 5;
	parsed.file_off = scan_number(&scan, 16, ' ');
	parsed.file.dev_major = scan_number(&scan, 16, ':');
	parsed.file.dev_minor = scan_number(&scan, 16, ' ');
	/* Without a path the line ends at the inode, or after one space (kernels differ). */
	char *const inode_end = scan.at + strspn(scan.at, "0123456789");
	parsed.file.inode = scan_number(&scan, 10, *inode_end == ' ' ? ' ' : '\0');
	if (!scan.ok || parsed.avma_start >= parsed.avma_end)
		return false;
	scan.at += strspn(scan.at, " ");
	parsed.file.deleted = cut_suffix(scan.at, " (deleted)");
	unescape_newlines(scan.at);
	parsed.file.path = scan.at;
	*out = parsed;
	return true;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

enum mapping_kind mapping_kind_of(const char *path, uint64_t inode)
{
	/* Kernel objects that have an inode but no file anybody could open and find code in. */
	static const char *const without_file[] = {
		"/dev/zero",
		"/SYSV",
		"/anon_hugepage",
	};
	if (strcmp(path, "[vdso]") == 0)
		return MAPPING_VDSO;
	/* perf says "//anon" where maps has no path */
	if (inode == 0 || path[0] != '/' || starts_with(path, "//"))
		return MAPPING_ANON;
	if (starts_with(path, "/memfd:"))
		return MAPPING_MEMFD;
	for (size_t i = 0; i < sizeof(without_file) / sizeof(without_file[0]); i++)
		if (starts_with(path, without_file[i]))
			return MAPPING_ANON;
	return MAPPING_FILE;
}
