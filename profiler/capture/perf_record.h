/*
 * perf_record.h - one record of a ring as a struct, every length in it checked.
 *
 * Layouts: perf_event_open(2), "MMAP layout"; the order of a sample's fields there. Pointers in
 * the result point into the record.
 *
 * Depends on: perf_attr.h. Threads: any.
 */
#ifndef CPROF_CAPTURE_PERF_RECORD_H
#define CPROF_CAPTURE_PERF_RECORD_H

#include "perf_attr.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_sample_record {
	uint64_t ip, period;
	const uint64_t *chain; /* call chain with PERF_CONTEXT_* markers, leaf first */
	size_t n_chain;
	uint64_t regs_abi; /* PERF_SAMPLE_REGS_ABI_*; NONE = no user registers */
	const uint64_t *regs;
	const uint8_t *stack;
	size_t stack_bytes; /* that are the thread's stack */
	bool stack_full;    /* the dump's limit ended the copy, not the stack's mapping */
};

struct perf_mmap_record {
	uint32_t pid, tid;
	uint64_t avma, size_bytes, file_off;
	uint32_t dev_major, dev_minor;
	uint64_t inode;
	uint32_t prot;
	const char *path; /* NUL-terminated */
};

struct perf_comm_record {
	uint32_t pid, tid;
	bool exec;
	const char *comm; /* NUL-terminated */
};

struct perf_task_record { /* FORK, EXIT */
	uint32_t pid, parent_pid;
	uint32_t tid, parent_tid;
};

struct perf_switch_record {
	bool out;       /* of the thread that the record is of; else it has got the CPU */
	bool preempted; /* with out: it could have gone on */
};

struct perf_record {
	uint32_t type; /* PERF_RECORD_*; others than below carry only the common part */
	uint16_t misc;
	uint64_t id; /* of the event as it was opened; inherited copies have the same */
	uint64_t time_ns;
	uint32_t pid, tid; /* that were running when it was written */
	union {
		struct perf_sample_record sample; /* SAMPLE */
		struct perf_mmap_record mmap;     /* MMAP2 */
		struct perf_comm_record comm;     /* COMM */
		struct perf_task_record task;     /* FORK, EXIT */
		uint64_t lost;                    /* LOST, LOST_SAMPLES */
		struct perf_switch_record sw;     /* SWITCH, SWITCH_CPU_WIDE */
	};
};

/**
 * Read a record.
 *
 * @header: 8-byte aligned, followed by the rest of its header->size bytes
 * Return: false when a length in it exceeds the record, or a string has no end.
 */
bool perf_record_parse(const struct perf_event_header *header, const struct perf_layout *layout,
		       struct perf_record *out);

#endif
