/*
 * jitdump_writer.h - jitdumps from code: records in memory, as runtimes write them.
 *
 * Depends on: elf_writer.h. Threads: any.
 */
#ifndef CPROF_TESTS_JITDUMP_WRITER_H
#define CPROF_TESTS_JITDUMP_WRITER_H

#include "elf_writer.h"

enum { JITDUMP_LOAD = 0, JITDUMP_MOVE = 1, JITDUMP_DEBUG_INFO = 2, JITDUMP_CLOSE = 3 };

struct jitdump_entry {
	uint64_t address;
	uint32_t line;
	const char *file;
};

static inline void jitdump_put_header(struct bytes *to)
{
	put_u32(to, 0x4a695444);
	put_u32(to, 1);
	put_u32(to, 40);
	put_u32(to, EM_X86_64);
	put_u32(to, 0);
	put_u32(to, 1234);
	put_u64(to, 1);
	put_u64(to, 0);
}

/* Begin a record. Return: what jitdump_end() takes. */
static inline size_t jitdump_begin_at(struct bytes *to, uint32_t id, uint64_t time_ns)
{
	const size_t start = to->n;
	put_u32(to, id);
	put_u32(to, 0);
	put_u64(to, time_ns);
	return start;
}

static inline size_t jitdump_begin(struct bytes *to, uint32_t id)
{
	return jitdump_begin_at(to, id, 2);
}

static inline void jitdump_end(struct bytes *to, size_t start)
{
	patch_u32(to, start + 4, to->n - start);
}

static inline void jitdump_put_load_at(struct bytes *to, const char *name, uint64_t address,
				       uint64_t size, uint64_t index, uint64_t time_ns)
{
	const size_t start = jitdump_begin_at(to, JITDUMP_LOAD, time_ns);
	put_u32(to, 1234);
	put_u32(to, 1235);
	put_u64(to, address);
	put_u64(to, address);
	put_u64(to, size);
	put_u64(to, index);
	put_text(to, name);
	put_fill(to, 0x90, size);
	jitdump_end(to, start);
}

static inline void jitdump_put_load(struct bytes *to, const char *name, uint64_t address,
				    uint64_t size, uint64_t index)
{
	jitdump_put_load_at(to, name, address, size, index, 2);
}

static inline void jitdump_put_move(struct bytes *to, uint64_t from, uint64_t there, uint64_t size,
				    uint64_t index)
{
	const size_t start = jitdump_begin(to, JITDUMP_MOVE);
	put_u32(to, 1234);
	put_u32(to, 1235);
	put_u64(to, from);
	put_u64(to, from);
	put_u64(to, there);
	put_u64(to, size);
	put_u64(to, index);
	jitdump_end(to, start);
}

static inline void jitdump_put_lines(struct bytes *to, uint64_t address,
				     const struct jitdump_entry *entries, size_t n)
{
	const size_t start = jitdump_begin(to, JITDUMP_DEBUG_INFO);
	put_u64(to, address);
	put_u64(to, n);
	for (size_t i = 0; i < n; i++) {
		put_u64(to, entries[i].address);
		put_u32(to, entries[i].line);
		put_u32(to, 0);
		put_text(to, entries[i].file);
	}
	put_fill(to, 0, -to->n & 7);
	jitdump_end(to, start);
}

#endif
