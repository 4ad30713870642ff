/*
 * perf_attr.h - what is asked of the kernel: the one place that fills a perf_event_attr.
 *
 * All events of a recording share one layout of records, so that a record can be read without
 * knowing which event wrote it.
 *
 * Depends on: base, unwind/regs.h, linux/perf_event.h. Threads: any.
 */
#ifndef CPROF_CAPTURE_PERF_ATTR_H
#define CPROF_CAPTURE_PERF_ATTR_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum perf_follow {
	PERF_FOLLOW_CHILDREN, /* threads and processes created later */
	PERF_FOLLOW_THREADS,  /* threads only */
	PERF_FOLLOW_NONE,     /* the event is per CPU and sees every task */
};

struct perf_setup {
	bool hardware;       /* cycles; else the timer, cpu-clock */
	unsigned rate_hz;    /* per running thread */
	uint32_t dump_bytes; /* of user stack per sample; multiple of 8, below PERF_DUMP_MAX */
	bool exclude_kernel; /* the kernel may not be sampled: such time is not seen at all */
	bool kernel_frames;  /* ask for the kernel's call chain */
	bool user_chain;     /* and for the user's by frame pointers, see goroutine_chain.h */
	bool switches;       /* no samples: every switch of a thread to and from a CPU is told */
	enum perf_follow follow;
	bool enable_on_exec;
	bool read_lost;        /* PERF_FORMAT_LOST: Linux 6.0 */
	uint32_t wakeup_bytes; /* in a ring before its reader is woken */
};

/* The kernel's limit is what keeps a record's 16-bit size; it also wants a multiple of 8. */
enum { PERF_DUMP_MAX = 65528 };

/* How the records of these events are laid out. */
struct perf_layout {
	unsigned n_regs;
};

void perf_attr_fill(const struct perf_setup *setup, struct perf_event_attr *out);

/** An event that counts nothing: it owns a CPU's ring, whatever becomes of the recorded threads. */
void perf_attr_fill_ring_owner(const struct perf_setup *setup, struct perf_event_attr *out);

struct perf_layout perf_attr_layout(void);

/* What read() on an event gives. */
struct perf_count {
	uint64_t value, enabled_ns, running_ns;
	uint64_t lost; /* 0 without read_lost */
};

/**
 * perf_event_open(2), descriptor close-on-exec.
 *
 * @pid: a thread id, 0 = the caller, -1 = every task
 * @cpu: -1 = any
 * Return: a descriptor or -errno.
 */
int perf_attr_open(const struct perf_event_attr *attr, pid_t pid, int cpu);

#endif
