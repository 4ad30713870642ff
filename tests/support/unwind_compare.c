/*
 * unwind_compare.c - walk the same samples of a running process by compiled rows and by libunwind.
 *
 *     unwind_compare PID SAMPLES DUMP_BYTES
 *
 * Takes SAMPLES samples, walks each in both ways, and prints one line of JSON: how many stacks
 * differ, and the nanoseconds a frame costs in each way, cold (first walk) and hot. The first few
 * differences are shown on stderr.
 */
#include "base/err.h"
#include "capture/clock.h"
#include "capture/perf_events.h"
#include "capture/perf_record.h"
#include "capture/procfs.h"
#include "unwind/unwind.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOT_ROUNDS = 5, SHOWN_MAX = 10 };

struct sample {
	struct unwind_regs regs;
	struct unwind_stack stack;
};

struct collector {
	struct perf_layout layout;
	pid_t pid;
	struct sample *samples;
	size_t n, wanted;
};

static void keep(void *ctx, const struct perf_event_header *header)
{
	struct collector *c = ctx;
	struct perf_record record;
	if (c->n == c->wanted || !perf_record_parse(header, &c->layout, &record) ||
	    record.type != PERF_RECORD_SAMPLE || record.pid != (uint32_t)c->pid ||
	    record.sample.regs_abi != PERF_SAMPLE_REGS_ABI_64)
		return;
	struct sample *sample = &c->samples[c->n];
	uint64_t values[64];
	memcpy(values, record.sample.regs, c->layout.n_regs * sizeof(values[0]));
	unwind_regs_from_perf(&sample->regs, values, c->layout.n_regs);
	uint8_t *copy = malloc(record.sample.stack_bytes + 1);
	if (!copy)
		return;
	memcpy(copy, record.sample.stack, record.sample.stack_bytes);
	sample->stack = (struct unwind_stack){
		.sp = unwind_regs_sp(&sample->regs),
		.bytes = copy,
		.n_bytes = record.sample.stack_bytes,
		.maybe_more = record.sample.stack_full,
	};
	c->n++;
}

static int collect(struct collector *c, uint32_t dump_bytes, struct cp_err *err)
{
	const struct perf_setup setup = {
		.rate_hz = 4999, .dump_bytes = dump_bytes, .follow = PERF_FOLLOW_THREADS};
	struct perf_events events;
	pid_t *tids = NULL;
	size_t n_tids = 0, cap = 0;
	uint8_t *scratch = malloc(PERF_RING_RECORD_MAX);
	int code = scratch ? perf_events_open(&setup, &events, err) : cp_fail_nomem(err);
	if (code < 0) {
		free(scratch);
		return code;
	}
	c->layout = perf_attr_layout(&events.setup);
	code = procfs_threads(c->pid, &tids, &n_tids, &cap);
	for (size_t i = 0; i < n_tids && code == 0; i++)
		code = perf_events_attach(&events, tids[i]);
	perf_events_enable(&events);
	while (code == 0 && c->n < c->wanted && !procfs_has_ended(c->pid)) {
		struct pollfd wait = {.fd = events.rings[0].fd, .events = POLLIN};
		poll(&wait, 1, 20);
		perf_rings_drain(events.rings, events.n_rings, UINT64_MAX, scratch, keep, c);
	}
	perf_events_close(&events);
	free(tids);
	free(scratch);
	return code < 0 ? cp_fail(err, code, "cannot sample %d: %s", c->pid, strerror(-code)) : 0;
}

struct outcome {
	uint64_t pcs[UNWIND_MAX_FRAMES];
	struct unwind_result result;
};

static void walk(struct unwinder *unwinder, const struct sample *sample, struct outcome *out)
{
	out->result = (struct unwind_result){.pcs = out->pcs, .cap = UNWIND_MAX_FRAMES};
	unwinder_walk(unwinder, &sample->regs, &sample->stack, &out->result);
}

/* Walk all samples once. Return: nanoseconds; @frames: walked. */
static uint64_t walk_all(struct unwinder *unwinder, const struct collector *c, uint64_t *frames)
{
	static struct outcome outcome;
	*frames = 0;
	const uint64_t start_ns = clock_now_ns();
	for (size_t i = 0; i < c->n; i++) {
		walk(unwinder, &c->samples[i], &outcome);
		*frames += outcome.result.n;
	}
	return clock_now_ns() - start_ns;
}

static void show(const char *name, const struct unwind_result *result)
{
	fprintf(stderr, "  %s: %s, %zu frames:", name, cp_stop_name(result->stop), result->n);
	for (size_t i = 0; i < result->n; i++)
		fprintf(stderr, " %llx", (unsigned long long)result->pcs[i]);
	fprintf(stderr, "\n");
}

static size_t compare(struct unwinder *rows, struct unwinder *libunwind, const struct collector *c,
		      size_t *by_libunwind, size_t *complete)
{
	static struct outcome a, b;
	size_t differ = 0;
	for (size_t i = 0; i < c->n; i++) {
		walk(rows, &c->samples[i], &a);
		walk(libunwind, &c->samples[i], &b);
		*by_libunwind += a.result.by_libunwind;
		*complete += cp_stop_is_complete(a.result.stop);
		if (a.result.n == b.result.n && a.result.stop == b.result.stop &&
		    memcmp(a.pcs, b.pcs, a.result.n * sizeof(a.pcs[0])) == 0)
			continue;
		if (differ++ < SHOWN_MAX) {
			fprintf(stderr, "sample %zu\n", i);
			show("rows", &a.result);
			show("libunwind", &b.result);
		}
	}
	return differ;
}

static double ns_per_frame(uint64_t ns, uint64_t frames)
{
	return frames ? (double)ns / (double)frames : 0;
}

static int run(struct collector *c, uint32_t dump_bytes, struct cp_err *err)
{
	int code = collect(c, dump_bytes, err);
	struct image_store *store = NULL;
	struct address_space *space = NULL;
	struct unwinder *unwinders[2] = {NULL, NULL};
	double cold[2] = {0}, hot[2] = {0};
	uint64_t frames = 0, start_ns = clock_now_ns();
	if (code == 0)
		code = image_store_create(&store);
	if (code == 0)
		code = address_space_create(store, c->pid, &space);
	if (code == 0)
		code = address_space_read_proc(space, err);
	for (int i = 0; i < 2 && code == 0; i++) {
		code = unwinder_create(space, &unwinders[i]);
		if (code < 0)
			break;
		unwinder_set_engine(unwinders[i], i == 0 ? UNWIND_AUTO : UNWIND_LIBUNWIND);
		start_ns = clock_now_ns();
		walk_all(unwinders[i], c, &frames);
		cold[i] = ns_per_frame(clock_now_ns() - start_ns, frames);
		uint64_t best_ns = UINT64_MAX;
		for (int round = 0; round < HOT_ROUNDS; round++) {
			const uint64_t ns = walk_all(unwinders[i], c, &frames);
			best_ns = ns < best_ns ? ns : best_ns;
		}
		hot[i] = ns_per_frame(best_ns, frames);
	}
	if (code == 0) {
		size_t by_libunwind = 0, complete = 0;
		const size_t differ =
			compare(unwinders[0], unwinders[1], c, &by_libunwind, &complete);
		printf("{\"samples\": %zu, \"frames\": %llu, \"complete\": %zu, \"differ\": %zu, "
		       "\"by_libunwind\": %zu, \"rows_ns_per_frame\": {\"cold\": %.1f, \"hot\": "
		       "%.1f}, \"libunwind_ns_per_frame\": {\"cold\": %.1f, \"hot\": %.1f}, "
		       "\"tables_bytes\": %zu}\n",
		       c->n, (unsigned long long)frames, complete, differ, by_libunwind, cold[0],
		       hot[0], cold[1], hot[1], image_store_size_bytes(store));
	}
	unwinder_destroy(unwinders[0]);
	unwinder_destroy(unwinders[1]);
	address_space_destroy(space);
	image_store_destroy(store);
	return code;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: unwind_compare PID SAMPLES DUMP_BYTES\n");
		return 2;
	}
	struct cp_err err = {""};
	struct collector c = {
		.pid = (pid_t)strtol(argv[1], NULL, 10),
		.wanted = strtoul(argv[2], NULL, 10),
	};
	c.samples = calloc(c.wanted, sizeof(*c.samples));
	const int code = c.samples ? run(&c, (uint32_t)strtoul(argv[3], NULL, 10), &err) : -ENOMEM;
	if (code < 0)
		fprintf(stderr, "unwind_compare: %s\n",
			*err.message ? err.message : strerror(-code));
	for (size_t i = 0; i < c.n; i++)
		free((void *)c.samples[i].stack.bytes);
	free(c.samples);
	return code < 0;
}
