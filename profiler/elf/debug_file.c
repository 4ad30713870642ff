#include "debug_file.h"

#include "base/cleanup.h"
#include "base/regular_file.h"

#include <errno.h>
#include <gelf.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define SYSTEM_DEBUG_DIR "/usr/lib/debug"

/* Of a build-id tree; shorter ones could not be split into xx/yyyy. */
enum { BUILD_ID_MIN_BYTES = 2 };

void debug_file_deinit(struct debug_file *file)
{
	if (!file)
		return;
	cp_close_fd(&file->fd);
	free(file->path);
	*file = DEBUG_FILE_EMPTY;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool debug_file_parse_build_id(const char *hex, struct elf_build_id *out)
{
	struct elf_build_id id = {.n = 0};
	for (; hex[0]; hex += 2) {
		int high = hex_digit(hex[0]);
		int low = hex[1] ? hex_digit(hex[1]) : -1;
		if (high < 0 || low < 0 || id.n == ELF_BUILD_ID_MAX)
			return false;
		id.bytes[id.n++] = (uint8_t)(high << 4 | low);
	}
	*out = id;
	return id.n > 0;
}

static bool build_id_in_notes(Elf_Data *data, struct elf_build_id *out)
{
	size_t offset = 0, name_offset, desc_offset;
	GElf_Nhdr note;
	while (data && data->d_buf && offset < data->d_size) {
		offset = gelf_getnote(data, offset, &note, &name_offset, &desc_offset);
		if (offset == 0)
			return false;
		const char *bytes = data->d_buf;
		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof(ELF_NOTE_GNU) ||
		    memcmp(bytes + name_offset, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) != 0)
			continue;
		if (note.n_descsz == 0 || note.n_descsz > ELF_BUILD_ID_MAX)
			return false;
		memcpy(out->bytes, bytes + desc_offset, note.n_descsz);
		out->n = note.n_descsz;
		return true;
	}
	return false;
}

bool debug_file_build_id_in_notes(const void *bytes, size_t n, struct elf_build_id *out)
{
	Elf_Data data = {.d_buf = (void *)bytes, .d_type = ELF_T_NHDR, .d_size = n};
	elf_version(EV_CURRENT);
	out->n = 0;
	return build_id_in_notes(&data, out);
}

bool debug_file_build_id(Elf *elf, struct elf_build_id *out)
{
	out->n = 0;
	Elf_Scn *section = NULL;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_NOTE &&
		    build_id_in_notes(elf_getdata(section, NULL), out))
			return true;
	}
	size_t n_segments;
	if (elf_getphdrnum(elf, &n_segments) != 0)
		return false;
	for (size_t i = 0; i < n_segments && i < INT_MAX; i++) {
		GElf_Phdr segment;
		if (!gelf_getphdr(elf, (int)i, &segment) || segment.p_type != PT_NOTE ||
		    segment.p_filesz > INT_MAX)
			continue;
		Elf_Type type = segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
		Elf_Data *data = elf_getdata_rawchunk(elf, (int64_t)segment.p_offset,
						      segment.p_filesz, type);
		if (build_id_in_notes(data, out))
			return true;
	}
	return false;
}

/* What a search carries along from candidate to candidate. */
struct hunt {
	const struct debug_file_search *search;
	const struct elf_build_id *wanted; /* n = 0: go by the CRC of the link */
	struct debug_file *out;
	bool found;
};

static bool file_crc32(int fd, uint32_t *out)
{
	uint8_t block[16 * 1024];
	off_t at = 0;
	uLong crc = crc32(0, NULL, 0);
	for (;;) {
		ssize_t n = pread(fd, block, sizeof(block), at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		crc = crc32(crc, block, (uInt)n);
		at += n;
	}
	*out = (uint32_t)crc;
	return true;
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;
	return a >= 0 && b >= 0 && fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int read_build_id(int fd, struct elf_build_id *out)
{
	/* Not mapped: whoever owns the file may truncate it, and the recorder would get a SIGBUS.
	 */
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	bool is_elf = elf && elf_kind(elf) == ELF_K_ELF;
	out->n = 0;
	if (is_elf)
		debug_file_build_id(elf, out);
	elf_end(elf);
	return is_elf ? 0 : -ENOEXEC;
}

int debug_file_read_build_id(const char *path, struct elf_build_id *out)
{
	elf_version(EV_CURRENT);
	CP_CLEANUP(cp_close_fd) int fd = regular_file_open(path);
	return fd < 0 ? fd : read_build_id(fd, out);
}

static bool belongs(const struct hunt *hunt, int fd)
{
	struct elf_build_id id;
	if (read_build_id(fd, &id) < 0)
		return false;
	/* Equal build-ids say more than a CRC, which the link states for one exact file: a debug
	 * file that dwz or objcopy rewrote later still belongs to its binary. */
	if (hunt->wanted->n > 0 && id.n > 0)
		return id.n == hunt->wanted->n && memcmp(id.bytes, hunt->wanted->bytes, id.n) == 0;
	struct stat st;
	const uint64_t max = hunt->search->crc_bytes_max;
	if (max && (fstat(fd, &st) < 0 || (uint64_t)st.st_size > max))
		return false;
	uint32_t crc;
	return hunt->search->link && file_crc32(fd, &crc) && crc == hunt->search->link_crc;
}

/* Look at one path. Return: -ENOMEM, else 0; hunt->found tells. */
static int consider(struct hunt *hunt, const char *path)
{
	CP_CLEANUP(cp_close_fd) int fd = regular_file_open(path);
	if (fd < 0 || same_file(fd, hunt->search->binary_fd))
		return 0;
	bool ours = belongs(hunt, fd);
	if (!ours && hunt->out->path)
		return 0;
	char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(hunt->out->path);
	hunt->out->path = copy;
	if (ours) {
		hunt->out->fd = fd;
		hunt->found = true;
		fd = -1;
	}
	return 0;
}

/* Below the target's root first, then as we see the path ourselves. */
static int __attribute__((format(printf, 2, 3)))
consider_path(struct hunt *hunt, const char *fmt, ...)
{
	char path[PATH_MAX], below[PATH_MAX];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (hunt->found || n < 0 || (size_t)n >= sizeof(path))
		return 0;
	if (hunt->search->root && path[0] == '/') {
		n = snprintf(below, sizeof(below), "%s%s", hunt->search->root, path);
		if (n > 0 && (size_t)n < sizeof(below) && consider(hunt, below) < 0)
			return -ENOMEM;
		if (hunt->found)
			return 0;
	}
	return consider(hunt, path);
}

static const char *debug_dir(const struct debug_file_search *search, size_t i)
{
	return i < search->n_dirs ? search->dirs[i] : SYSTEM_DEBUG_DIR;
}

static int by_build_id(struct hunt *hunt)
{
	const struct elf_build_id *id = hunt->wanted;
	if (id->n < BUILD_ID_MIN_BYTES)
		return 0;
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	for (size_t i = 0; i < id->n; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->bytes[i]);
	for (size_t i = 0; i <= hunt->search->n_dirs && !hunt->found; i++) {
		int rc = consider_path(hunt, "%s/.build-id/%.2s/%s.debug",
				       debug_dir(hunt->search, i), hex, hex + 2);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Length of the directory part, without its last slash; -1 when there is no slash. */
static int dirname_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash - path < PATH_MAX ? (int)(slash - path) : -1;
}

static int by_link(struct hunt *hunt)
{
	const struct debug_file_search *search = hunt->search;
	int dir = dirname_length(search->path);
	/* The link is a bare name; one with a slash would lead us elsewhere. */
	if (!search->link || !search->link[0] || strchr(search->link, '/') || dir < 0)
		return 0;
	if (consider_path(hunt, "%.*s/%s", dir, search->path, search->link) < 0 ||
	    consider_path(hunt, "%.*s/.debug/%s", dir, search->path, search->link) < 0)
		return -ENOMEM;
	for (size_t i = 0; i <= search->n_dirs && !hunt->found; i++) {
		if (consider_path(hunt, "%s%.*s/%s", debug_dir(search, i), dir, search->path,
				  search->link) < 0)
			return -ENOMEM;
		if (i < search->n_dirs &&
		    consider_path(hunt, "%s/%s", search->dirs[i], search->link) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_path(struct hunt *hunt)
{
	const struct debug_file_search *search = hunt->search;
	if (search->path[0] != '/')
		return 0;
	for (size_t i = 0; i <= search->n_dirs && !hunt->found; i++) {
		const char *dir = debug_dir(search, i);
		if (consider_path(hunt, "%s%s.debug", dir, search->path) < 0 ||
		    consider_path(hunt, "%s%s", dir, search->path) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_fetch(struct hunt *hunt)
{
	const struct debug_file_search *search = hunt->search;
	if (!search->fetch || hunt->found || hunt->wanted->n < BUILD_ID_MIN_BYTES)
		return 0;
	CP_CLEANUP(cp_free) char *path = search->fetch(search->fetch_ctx, hunt->wanted);
	return path ? consider(hunt, path) : 0;
}

static int finish(struct hunt *hunt, int rc)
{
	if (rc < 0)
		debug_file_deinit(hunt->out);
	else if (!hunt->found)
		rc = hunt->out->path ? -ESTALE : -ENOENT;
	return rc;
}

int debug_file_find(const struct debug_file_search *search, struct debug_file *out)
{
	*out = DEBUG_FILE_EMPTY;
	elf_version(EV_CURRENT);
	struct hunt hunt = {.search = search, .wanted = search->build_id, .out = out};
	int rc = by_build_id(&hunt);
	if (rc == 0)
		rc = by_link(&hunt);
	if (rc == 0)
		rc = by_path(&hunt);
	if (rc == 0)
		rc = by_fetch(&hunt);
	return finish(&hunt, rc);
}

int debug_file_find_alt(const struct debug_file_search *search, const char *debug_path,
			const char *alt_name, const struct elf_build_id *alt_id,
			struct debug_file *out)
{
	*out = DEBUG_FILE_EMPTY;
	elf_version(EV_CURRENT);
	struct debug_file_search alt = *search;
	alt.binary_fd = -1;
	alt.link = NULL; /* no CRC here: only an equal build-id will do */
	struct hunt hunt = {.search = &alt, .wanted = alt_id, .out = out};
	int rc = 0;
	if (alt_name[0] == '/') {
		rc = consider_path(&hunt, "%s", alt_name);
	} else if (alt_name[0]) {
		/* Build-id trees are symbolic links; the name is relative to the real file. */
		CP_CLEANUP(cp_free) char *real = realpath(debug_path, NULL);
		int dir = real ? dirname_length(real) : -1;
		if (dir >= 0)
			rc = consider_path(&hunt, "%.*s/%s", dir, real, alt_name);
	}
	const char *base = strrchr(alt_name, '/') ? strrchr(alt_name, '/') + 1 : alt_name;
	for (size_t i = 0; rc == 0 && base[0] && i <= search->n_dirs && !hunt.found; i++)
		rc = consider_path(&hunt, "%s/.dwz/%s", debug_dir(search, i), base);
	if (rc == 0 && !hunt.found)
		rc = by_build_id(&hunt);
	if (rc == 0)
		rc = by_fetch(&hunt);
	return finish(&hunt, rc);
}
