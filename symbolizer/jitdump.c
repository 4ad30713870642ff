#include "jitdump.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/regular_file.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JITDUMP_MAGIC 0x4a695444u

/* In the file's flags. */
enum { ARCH_TIMESTAMPS = 1 };
enum { RECORD_LOAD = 0, RECORD_MOVE = 1, RECORD_DEBUG_INFO = 2 };

/* A name or a function's table of lines is never near these. */
enum { MAX_NAME_BYTES = 64 * 1024, MAX_LINES_BYTES = 64 * 1024 * 1024 };

/*
 * perf makes an ELF file of each function, and states lines relative to the file. Runtimes that
 * were written against perf rather than the specification (V8) add the size of the ELF header.
 */
enum { ELF_HEADER_SHIFT = 0x40 };

struct file_header {
	uint32_t magic, version, size, machine, padding, pid;
	uint64_t time, flags;
};

struct record_header {
	uint32_t id, size;
	uint64_t time;
};

struct load_record {
	uint32_t pid, tid;
	uint64_t vma, address, size, index;
};

struct move_record {
	uint32_t pid, tid;
	uint64_t vma, old_address, new_address, size, index;
};

struct debug_info_record {
	uint64_t address, n;
};

struct debug_entry {
	uint64_t address;
	uint32_t line, column;
};

/* Steps of looking for what was moved; few runtimes move code at all. */
enum { MAX_MOVE_STEPS = 64 * 1024 * 1024 };

struct reader {
	struct jitdump *dump;
	FILE *file;
	/* entries that wait for the load they belong to */
	char *entries;
	size_t entries_size;
	struct debug_info_record info;
	uint64_t time_ns; /* of the record that is read */
	bool shifted;     /* no line yet below the ELF header's size: all may be shifted */
	uint64_t move_steps;
};

void jitdump_deinit(struct jitdump *dump)
{
	symbol_table_deinit(&dump->table);
	free(dump->codes);
	free(dump->lines);
	if (dump->strings.strings)
		interner_deinit(&dump->strings);
	*dump = (struct jitdump){.codes = NULL};
}

/* Return: 1; 0: the file ends before. */
static int take(struct reader *reader, void *out, size_t n, size_t *left)
{
	if (n > *left || fread(out, 1, n, reader->file) != n)
		return 0;
	*left -= n;
	return 1;
}

/* Put code in the table. */
static int add_code(struct jitdump *dump, const struct jitdump_code *code, uint64_t address,
		    uint64_t size, const char *name)
{
	if (size == 0 || address + size < address || dump->n_codes >= UINT32_MAX)
		return 0;
	struct jitdump_code *added = CP_ARRAY_PUSH(dump->codes, dump->n_codes, dump->cap_codes);
	if (!added)
		return -ENOMEM;
	*added = *code;
	const struct symbol symbol = {.start = address,
				      .end = address + size,
				      .name = name,
				      .rank = (uint32_t)(dump->n_codes - 1),
				      .sized = true};
	return symbol_table_add(&dump->table, &symbol);
}

static int compare_lines(const void *left, const void *right)
{
	const struct jitdump_line *a = left, *b = right;
	return a->address < b->address ? -1 : a->address > b->address;
}

/* Lines of the code whose load has come. */
struct line_list {
	struct reader *reader;
	const struct load_record *load;
	size_t first; /* in the dump */
};

/* Return: 1; 0: it lies outside of the code; -ENOMEM. */
static int add_line(struct line_list *list, const char *entry_bytes, string_id file)
{
	struct jitdump *dump = list->reader->dump;
	struct debug_entry entry;
	memcpy(&entry, entry_bytes, sizeof(entry));
	const uint64_t offset = entry.address - list->load->address;
	if (offset > list->load->size + ELF_HEADER_SHIFT)
		return 0;
	struct jitdump_line *line = CP_ARRAY_PUSH(dump->lines, dump->n_lines, dump->cap_lines);
	if (!line)
		return -ENOMEM;
	*line = (struct jitdump_line){entry.address, entry.line, file};
	return 1;
}

/* Entries as they are specified: each with its file's name. Return: 1; 0: damaged; -ENOMEM. */
static int parse_entries(struct line_list *list)
{
	const char *at = list->reader->entries, *end = at + list->reader->entries_size;
	string_id file = {0};
	for (uint64_t i = 0; i < list->reader->info.n; i++) {
		if ((size_t)(end - at) <= sizeof(struct debug_entry))
			return 0;
		const char *name = at + sizeof(struct debug_entry);
		const char *name_end = memchr(name, '\0', (size_t)(end - name));
		if (!name_end)
			return 0;
		/* "\xff": the file of the entry before */
		if ((i == 0 || strcmp(name, "\xff") != 0) &&
		    interner_add(&list->reader->dump->strings, name, &file) < 0)
			return -ENOMEM;
		int rc = add_line(list, at, file);
		if (rc <= 0)
			return rc;
		at = name_end + 1;
	}
	return 1;
}

/*
 * V8 (of node 20 at least) writes each entry's name from memory that it has released: the length is
 * right, the bytes are anything. All entries of one script are of one size then, and the script's
 * path stands in the function's name, "JS:*f /srv/a.js:1:13": where a path of just that length
 * does, it is the one. Return: as parse_entries().
 */
static int parse_entries_by_size(struct line_list *list, const char *function)
{
	const uint64_t n = list->reader->info.n;
	const size_t size = n > 0 && n <= list->reader->entries_size
				    ? list->reader->entries_size / (size_t)n
				    : 0;
	const size_t fixed = sizeof(struct debug_entry) + 1;
	size_t end = strlen(function);
	string_id file;
	for (int numbers = 0; numbers < 2; numbers++) { /* ":line:column" */
		while (end > 0 && function[end - 1] >= '0' && function[end - 1] <= '9')
			end--;
		if (end == 0 || function[--end] != ':')
			return 0;
	}
	const size_t length = size > fixed ? size - fixed : 0;
	if (length == 0 || end <= length || function[end - length - 1] != ' ' ||
	    list->reader->entries_size - size * n >= 8)
		return 0;
	if (interner_add_bytes(&list->reader->dump->strings, function + end - length, length,
			       &file) < 0)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		int rc = add_line(list, list->reader->entries + i * size, file);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

/* The lines that came before a load. Return: 0 (also when there are none) or -ENOMEM. */
static int take_lines(struct reader *reader, const struct load_record *load, const char *function,
		      struct jitdump_code *code)
{
	struct jitdump *dump = reader->dump;
	struct line_list list = {.reader = reader, .load = load, .first = dump->n_lines};
	int rc = 1;
	if (reader->entries && reader->info.address == load->address) {
		rc = parse_entries(&list);
		if (rc == 0) {
			dump->n_lines = list.first;
			rc = parse_entries_by_size(&list, function);
		}
		if (rc == 0) {
			dump->n_lines = list.first;
			dump->malformed++;
		}
	}
	free(reader->entries);
	reader->entries = NULL;
	if (rc < 0)
		return rc;
	code->first_line = list.first;
	code->n_lines = dump->n_lines - list.first;
	if (code->n_lines > 0) {
		struct jitdump_line *first = &dump->lines[list.first];
		qsort(first, code->n_lines, sizeof(*first), compare_lines);
		if (first->address - load->address < ELF_HEADER_SHIFT)
			reader->shifted = false;
	}
	return 0;
}

/* Return: 1; 0: not whole; -ENOMEM. As all that read a record. */
static int read_load(struct reader *reader, size_t left)
{
	struct load_record load;
	char name[MAX_NAME_BYTES];
	string_id id;
	if (!take(reader, &load, sizeof(load), &left))
		return 0;
	size_t room = left < load.size ? 0 : left - (size_t)load.size;
	size_t n = room < sizeof(name) ? room : sizeof(name);
	if (n == 0 || !take(reader, name, n, &left) || !memchr(name, '\0', n))
		return 0;
	if (interner_add(&reader->dump->strings, name, &id) < 0)
		return -ENOMEM;
	struct jitdump_code code = {.index = load.index, .time_ns = reader->time_ns};
	int rc = take_lines(reader, &load, name, &code);
	if (rc == 0)
		rc = add_code(reader->dump, &code, load.address, load.size,
			      interner_get(&reader->dump->strings, id));
	return rc < 0 ? rc : 1;
}

static int read_move(struct reader *reader, size_t left)
{
	struct jitdump *dump = reader->dump;
	struct move_record move;
	if (!take(reader, &move, sizeof(move), &left))
		return 0;
	/* the newest of that index: numbers are not given twice, but a move may follow a move */
	for (size_t i = dump->table.n; i-- > 0 && reader->move_steps < MAX_MOVE_STEPS;) {
		reader->move_steps++;
		const struct symbol *symbol = &dump->table.symbols[i];
		const struct jitdump_code *old = &dump->codes[symbol->rank];
		if (old->index != move.index || symbol->start != move.old_address)
			continue;
		struct jitdump_code code = *old;
		code.shift += (int64_t)(move.new_address - move.old_address);
		code.time_ns = reader->time_ns;
		int rc = add_code(dump, &code, move.new_address, move.size, symbol->name);
		return rc < 0 ? rc : 1;
	}
	dump->malformed++;
	return 1;
}

/* Only a load tells which code the lines are of. */
static int read_lines(struct reader *reader, size_t left)
{
	free(reader->entries);
	reader->entries = NULL;
	if (!take(reader, &reader->info, sizeof(reader->info), &left) || left > MAX_LINES_BYTES)
		return 0;
	reader->entries = malloc(left + 1);
	if (!reader->entries)
		return -ENOMEM;
	reader->entries_size = left;
	return take(reader, reader->entries, left, &left);
}

/* Return: 1; 0 at the end, or where the rest is not there yet; -ENOMEM. */
static int read_record(struct reader *reader)
{
	struct record_header header;
	const long start = ftell(reader->file);
	int rc = 1;
	if (start < 0 || fread(&header, sizeof(header), 1, reader->file) != 1 ||
	    header.size < sizeof(header))
		return 0;
	size_t left = header.size - sizeof(header);
	reader->time_ns = header.time;
	if (header.id == RECORD_LOAD)
		rc = read_load(reader, left);
	else if (header.id == RECORD_MOVE)
		rc = read_move(reader, left);
	else if (header.id == RECORD_DEBUG_INFO)
		rc = read_lines(reader, left);
	if (rc < 0)
		return rc;
	reader->dump->malformed += rc == 0;
	return fseek(reader->file, start + (long)header.size, SEEK_SET) == 0;
}

static int read_records(struct reader *reader)
{
	struct jitdump *dump = reader->dump;
	int rc;
	while ((rc = read_record(reader)) > 0)
		;
	if (rc == 0)
		rc = symbol_table_seal(&dump->table);
	for (size_t i = 0; rc == 0 && reader->shifted && i < dump->n_lines; i++)
		dump->lines[i].address -= ELF_HEADER_SHIFT;
	return rc;
}

int jitdump_read(struct jitdump *dump, const char *path, struct cp_err *err)
{
	struct file_header header;
	int fd = regular_file_open(path);
	*dump = (struct jitdump){.table = {.newest_wins = true}};
	if (fd < 0)
		return cp_fail(err, fd, "%s: %s", path, strerror(-fd));
	CP_CLEANUP(cp_close_file) FILE *file = fdopen(fd, "rb");
	if (!file) {
		close(fd);
		return cp_fail_nomem(err);
	}
	if (fread(&header, sizeof(header), 1, file) != 1 || header.magic != JITDUMP_MAGIC ||
	    header.size < sizeof(header) || fseek(file, (long)header.size, SEEK_SET) != 0)
		return cp_fail(err, -EINVAL, "%s: no jitdump of this machine", path);
	dump->monotonic = (header.flags & ARCH_TIMESTAMPS) == 0;
	struct reader reader = {.dump = dump, .file = file, .shifted = true};
	int rc = interner_init(&dump->strings);
	if (rc == 0)
		rc = read_records(&reader);
	free(reader.entries);
	if (rc < 0) {
		jitdump_deinit(dump);
		return cp_fail_nomem(err);
	}
	return 0;
}

bool jitdump_find(const struct jitdump *dump, uint64_t address, struct symbol_frame *frame)
{
	const struct symbol *symbol = symbol_table_find(&dump->table, address);
	if (!symbol)
		return false;
	jitdump_tell(dump, symbol, address, frame);
	return true;
}

void jitdump_tell(const struct jitdump *dump, const struct symbol *symbol, uint64_t address,
		  struct symbol_frame *frame)
{
	*frame = (struct symbol_frame){
		.name = symbol->name, .system_name = symbol->name, .file = ""};
	const struct jitdump_code *code = &dump->codes[symbol->rank];
	const uint64_t wanted = address - (uint64_t)code->shift;
	size_t low = 0, high = code->n_lines; /* the last line at or before the address */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (dump->lines[code->first_line + middle].address <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > 0) {
		const struct jitdump_line *line = &dump->lines[code->first_line + low - 1];
		frame->file = interner_get(&dump->strings, line->file);
		frame->line = line->line;
	}
}
