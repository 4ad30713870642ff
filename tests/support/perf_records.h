/*
 * perf_records.h - records as the kernel writes them into a ring, made by hand.
 *
 * The layouts are those of perf_event_open(2) for the sample_type that perf_attr.c asks for.
 *
 * Depends on: linux/perf_event.h. Threads: any.
 */
#ifndef CPROF_TESTS_PERF_RECORDS_H
#define CPROF_TESTS_PERF_RECORDS_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RECORD_BYTES_MAX = 8192, RECORD_REGS = 17 };

struct record_bytes {
	_Alignas(8) uint8_t bytes[RECORD_BYTES_MAX];
	size_t n;
};

/* Who wrote a record, and when. */
struct record_origin {
	uint32_t pid, tid;
	uint64_t time_ns, id;
};

static inline void record_u64(struct record_bytes *record, uint64_t value)
{
	memcpy(record->bytes + record->n, &value, sizeof(value));
	record->n += sizeof(value);
}

static inline void record_u32s(struct record_bytes *record, uint32_t a, uint32_t b)
{
	memcpy(record->bytes + record->n, &a, sizeof(a));
	memcpy(record->bytes + record->n + 4, &b, sizeof(b));
	record->n += 8;
}

/* NUL-terminated and padded to 8 bytes */
static inline void record_text(struct record_bytes *record, const char *text)
{
	size_t n = (strlen(text) + 8) & ~(size_t)7;
	memset(record->bytes + record->n, 0, n);
	memcpy(record->bytes + record->n, text, strlen(text));
	record->n += n;
}

static inline void record_begin(struct record_bytes *record, uint32_t type, uint16_t misc)
{
	struct perf_event_header header = {.type = type, .misc = misc};
	memset(record, 0, sizeof(*record));
	memcpy(record->bytes, &header, sizeof(header));
	record->n = sizeof(header);
}

static inline struct perf_event_header *record_end(struct record_bytes *record)
{
	struct perf_event_header *header = (struct perf_event_header *)record->bytes;
	header->size = (uint16_t)record->n;
	return header;
}

static inline struct perf_event_header *record_end_with(struct record_bytes *record,
							struct record_origin origin)
{
	record_u32s(record, origin.pid, origin.tid);
	record_u64(record, origin.time_ns);
	record_u64(record, 1); /* cpu */
	record_u64(record, origin.id);
	return record_end(record);
}

/* @chain, @n_chain: with context markers; @abi NONE leaves registers and stack out */
static inline struct perf_event_header *record_sample(struct record_bytes *record, uint16_t misc,
						      struct record_origin origin, uint64_t ip,
						      const uint64_t *chain, size_t n_chain,
						      uint64_t abi)
{
	record_begin(record, PERF_RECORD_SAMPLE, misc);
	record_u64(record, origin.id);
	record_u64(record, ip);
	record_u32s(record, origin.pid, origin.tid);
	record_u64(record, origin.time_ns);
	record_u64(record, 1);       /* cpu */
	record_u64(record, 1001001); /* period */
	record_u64(record, n_chain);
	for (size_t i = 0; i < n_chain; i++)
		record_u64(record, chain[i]);
	record_u64(record, abi);
	if (abi == PERF_SAMPLE_REGS_ABI_NONE) {
		record_u64(record, 0); /* size of the stack copy */
		return record_end(record);
	}
	for (uint64_t i = 0; i < RECORD_REGS; i++)
		record_u64(record, 0x1000 + i);
	record_u64(record, 64); /* size of the stack copy */
	for (uint64_t i = 0; i < 8; i++)
		record_u64(record, 0x2000 + i);
	record_u64(record, 40); /* of which so much is stack */
	return record_end(record);
}

static inline struct perf_event_header *record_mmap(struct record_bytes *record,
						    struct record_origin origin, uint64_t avma,
						    uint64_t size_bytes, uint64_t file_off,
						    const char *path)
{
	record_begin(record, PERF_RECORD_MMAP2, PERF_RECORD_MISC_USER);
	record_u32s(record, origin.pid, origin.tid);
	record_u64(record, avma);
	record_u64(record, size_bytes);
	record_u64(record, file_off);
	record_u32s(record, 8, 1); /* device */
	record_u64(record, 4711);  /* inode */
	record_u64(record, 0);     /* its generation */
	record_u32s(record, 5, 2); /* PROT_READ | PROT_EXEC, MAP_PRIVATE */
	record_text(record, path);
	return record_end_with(record, origin);
}

static inline struct perf_event_header *record_comm(struct record_bytes *record, uint16_t misc,
						    struct record_origin origin, const char *comm)
{
	record_begin(record, PERF_RECORD_COMM, misc);
	record_u32s(record, origin.pid, origin.tid);
	record_text(record, comm);
	return record_end_with(record, origin);
}

/* FORK: written by the creator; EXIT: by the thread itself */
static inline struct perf_event_header *record_task(struct record_bytes *record, uint32_t type,
						    struct record_origin origin, uint32_t pid,
						    uint32_t tid)
{
	record_begin(record, type, 0);
	record_u32s(record, pid, origin.pid);
	record_u32s(record, tid, origin.tid);
	record_u64(record, origin.time_ns);
	return record_end_with(record, origin);
}

static inline struct perf_event_header *record_lost(struct record_bytes *record,
						    struct record_origin origin, uint64_t lost)
{
	record_begin(record, PERF_RECORD_LOST, 0);
	record_u64(record, origin.id);
	record_u64(record, lost);
	return record_end_with(record, origin);
}

#endif
