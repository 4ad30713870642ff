#include "capture.h"

#include "capture/perf_events.h"
#include "capture/perf_record.h"
#include "capture/procfs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_HZ = 4999, POLL_MS = 20 };

struct capture {
	struct perf_layout layout;
	struct perf_events events;
	pid_t pid;
	uint32_t dump_bytes;
	uint8_t *scratch;
	uint8_t *stacks; /* batch x dump_bytes */
	struct capture_sample *samples;
	size_t n, wanted, batch;
};

static void keep(void *ctx, const struct perf_event_header *header)
{
	struct capture *c = ctx;
	struct perf_record record;
	if (c->n == c->wanted || !perf_record_parse(header, &c->layout, &record) ||
	    record.type != PERF_RECORD_SAMPLE || record.pid != (uint32_t)c->pid ||
	    record.sample.regs_abi != PERF_SAMPLE_REGS_ABI_64 ||
	    record.sample.stack_bytes > c->dump_bytes)
		return;
	struct capture_sample *sample = &c->samples[c->n];
	uint64_t values[64];
	memcpy(values, record.sample.regs, c->layout.n_regs * sizeof(values[0]));
	unwind_regs_from_perf(&sample->regs, values, c->layout.n_regs);
	uint8_t *copy = c->stacks + c->n * c->dump_bytes;
	memcpy(copy, record.sample.stack, record.sample.stack_bytes);
	sample->stack = (struct unwind_stack){
		.sp = unwind_regs_sp(&sample->regs),
		.bytes = copy,
		.n_bytes = record.sample.stack_bytes,
		.maybe_more = record.sample.stack_full,
	};
	c->n++;
}

static int attach(struct capture *c, struct cp_err *err)
{
	const struct perf_setup setup = {
		.rate_hz = RATE_HZ, .dump_bytes = c->dump_bytes, .follow = PERF_FOLLOW_THREADS};
	pid_t *tids = NULL;
	size_t n_tids = 0, cap = 0;
	int code = perf_events_open(&setup, &c->events, err);
	if (code < 0)
		return code;
	c->layout = perf_attr_layout();
	code = procfs_threads(c->pid, &tids, &n_tids, &cap);
	for (size_t i = 0; i < n_tids && code == 0; i++) {
		code = perf_events_attach(&c->events, tids[i]);
		if (code == -ESRCH && i > 0) /* a thread that ended meanwhile */
			code = 0;
	}
	free(tids);
	return code < 0 ? cp_fail(err, code, "cannot sample %d: %s", c->pid, strerror(-code)) : 0;
}

int capture_open(pid_t pid, uint32_t dump_bytes, size_t batch, struct capture **out,
		 struct cp_err *err)
{
	struct capture *c = calloc(1, sizeof(*c));
	if (!c)
		return cp_fail_nomem(err);
	c->pid = pid;
	c->dump_bytes = dump_bytes;
	c->batch = batch;
	c->scratch = malloc(PERF_RING_RECORD_MAX);
	c->stacks = malloc(batch * dump_bytes);
	c->samples = calloc(batch, sizeof(*c->samples));
	int code = c->scratch && c->stacks && c->samples ? 0 : cp_fail_nomem(err);
	if (code == 0)
		code = attach(c, err);
	if (code < 0) {
		capture_close(c);
		return code;
	}
	*out = c;
	return 0;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	perf_events_close(&c->events);
	free(c->scratch);
	free(c->stacks);
	free(c->samples);
	free(c);
}

size_t capture_next(struct capture *c, size_t wanted)
{
	c->n = 0;
	c->wanted = wanted < c->batch ? wanted : c->batch;
	perf_events_enable(&c->events);
	bool ended = false;
	while (c->n < c->wanted && !ended) {
		struct pollfd wait = {.fd = c->events.rings[0].fd, .events = POLLIN};
		ended = procfs_has_ended(c->pid); /* what it left is drained once more */
		poll(&wait, 1, ended ? 0 : POLL_MS);
		perf_rings_drain(c->events.rings, c->events.n_rings, UINT64_MAX, c->scratch, keep,
				 c);
	}
	perf_events_disable(&c->events);
	/* what is left in the rings would be older than the mappings that are read next */
	c->wanted = c->n;
	perf_rings_drain(c->events.rings, c->events.n_rings, UINT64_MAX, c->scratch, keep, c);
	return c->n;
}

const struct capture_sample *capture_samples(const struct capture *c)
{
	return c->samples;
}
