/*
 * unwind_bench - what a frame costs by compiled rows, by cprof's own use of libunwind, by plain
 * libunwind with its cache on, and by libdw, on the same captured samples.
 *
 *     unwind_bench [--rounds N] PID SAMPLES DUMP_BYTES
 *     unwind_bench --tables FILE
 *
 * The first form takes samples of a running process and prints for each walk the nanoseconds per
 * frame cold (the first walk of each sample, all tables unread) and hot (every further round). The
 * second compiles the rows of a binary and prints time and sizes. Both print one line of JSON.
 */
#include "base/cleanup.h"
#include "capture.h"
#include "capture/clock.h"
#include "elf/elf_image.h"
#include "libdw_walk.h"
#include "plain_libunwind.h"
#include "unwind/image_rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOT_ROUNDS = 5, SAMPLES_MAX = 20000, CACHE_LINE = 64, BLOCK = 16 };

enum way { WAY_ROWS, WAY_LIBUNWIND, WAY_PLAIN, WAY_LIBDW, WAYS };

static const char *const way_names[WAYS] = {"rows", "libunwind_tuned", "libunwind_plain", "libdw"};

struct bench {
	pid_t pid;
	const struct capture_sample *samples;
	size_t n;
	struct address_space *space;
	struct unwinder *unwinder; /* of the way that is measured */
	struct plain_libunwind *plain;
	struct libdw_walker *libdw;
};

static size_t walk_once(struct bench *b, enum way way, const struct capture_sample *sample)
{
	static uint64_t pcs[UNWIND_MAX_FRAMES];
	if (way == WAY_PLAIN)
		return plain_libunwind_walk(b->plain, &sample->regs, &sample->stack, pcs,
					    UNWIND_MAX_FRAMES);
	if (way == WAY_LIBDW) {
		struct libdw_result result = {.pcs = pcs, .cap = UNWIND_MAX_FRAMES};
		libdw_walker_walk(b->libdw, &sample->regs, &sample->stack, &result);
		return result.n;
	}
	struct unwind_result result = {.pcs = pcs, .cap = UNWIND_MAX_FRAMES};
	unwinder_walk(b->unwinder, &sample->regs, &sample->stack, &result);
	return result.n;
}

/* The CPU time of this thread: others run beside it. */
static uint64_t cpu_now_ns(void)
{
	return clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* A recorder walks a stack that the kernel's copy has just put into the caches. */
static void touch(const struct capture_sample *sample)
{
	const volatile uint8_t *bytes = sample->stack.bytes;
	for (size_t i = 0; i < sample->stack.n_bytes; i += CACHE_LINE)
		(void)bytes[i];
}

static double round_ns_per_frame(struct bench *b, enum way way, size_t *frames)
{
	uint64_t ns = 0;
	*frames = 0;
	for (size_t from = 0; from < b->n; from += BLOCK) {
		const size_t to = from + BLOCK < b->n ? from + BLOCK : b->n;
		for (size_t i = from; i < to; i++)
			touch(&b->samples[i]);
		const uint64_t start_ns = cpu_now_ns();
		for (size_t i = from; i < to; i++)
			*frames += walk_once(b, way, &b->samples[i]);
		ns += cpu_now_ns() - start_ns;
	}
	return *frames ? (double)ns / (double)*frames : 0;
}

static int prepare(struct bench *b, enum way way, struct image_store **store, struct cp_err *err)
{
	int code = image_store_create(store);
	if (code == 0)
		code = address_space_create(*store, b->pid, &b->space);
	if (code == 0)
		code = address_space_read_proc(b->space, err);
	if (code == 0 && way == WAY_PLAIN)
		code = plain_libunwind_create(b->space, &b->plain);
	else if (code == 0 && way == WAY_LIBDW)
		code = libdw_walker_create(b->pid, &b->libdw, err);
	else if (code == 0)
		code = unwinder_create(b->space, &b->unwinder);
	if (code == 0 && way == WAY_LIBUNWIND)
		unwinder_set_engine(b->unwinder, UNWIND_LIBUNWIND);
	return code;
}

/* Tables, caches and all are made anew for each way, so that cold is cold. */
static int measure(struct bench *b, enum way way, struct cp_err *err)
{
	struct image_store *store = NULL;
	const int code = prepare(b, way, &store, err);
	if (code == 0) {
		size_t frames, unused;
		const double cold = round_ns_per_frame(b, way, &frames);
		double hot = round_ns_per_frame(b, way, &unused);
		for (int i = 1; i < HOT_ROUNDS; i++) {
			const double again = round_ns_per_frame(b, way, &unused);
			hot = again < hot ? again : hot;
		}
		printf(", \"%s\": {\"frames\": %zu, \"cold_ns\": %.1f, \"hot_ns\": %.2f, "
		       "\"tables_bytes\": %zu}",
		       way_names[way], frames, cold, hot, image_store_size_bytes(store));
	}
	unwinder_destroy(b->unwinder);
	plain_libunwind_destroy(b->plain);
	libdw_walker_destroy(b->libdw);
	address_space_destroy(b->space);
	image_store_destroy(store);
	b->unwinder = NULL;
	b->plain = NULL;
	b->libdw = NULL;
	b->space = NULL;
	return code;
}

static int bench_process(pid_t pid, size_t wanted, uint32_t dump_bytes, struct cp_err *err)
{
	struct capture *capture = NULL;
	int code = capture_open(pid, dump_bytes, wanted, &capture, err);
	if (code < 0)
		return code;
	struct bench bench = {.pid = pid, .n = capture_next(capture, wanted)};
	bench.samples = capture_samples(capture);
	printf("{\"samples\": %zu", bench.n);
	for (enum way way = 0; way < WAYS && code == 0; way++)
		code = measure(&bench, way, err);
	printf("}\n");
	capture_close(capture);
	return code;
}

static int bench_tables(const char *path, struct cp_err *err)
{
	CP_CLEANUP(cp_close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image *image = NULL;
	struct image_rows *rows = NULL;
	if (fd < 0)
		return cp_fail(err, -ENOENT, "%s: cannot be opened", path);
	const uint64_t start_ns = cpu_now_ns();
	int code = elf_image_open_fd(fd, path, &image, err);
	const uint64_t read_ns = cpu_now_ns();
	if (code == 0)
		code = image_rows_create(image, &rows);
	const uint64_t end_ns = cpu_now_ns();
	if (code == 0)
		printf("{\"file\": \"%s\", \"read_ms\": %.2f, \"compile_ms\": %.2f, \"rows\": %zu, "
		       "\"rows_bytes\": %zu, \"image_bytes\": %zu}\n",
		       path, (double)(read_ns - start_ns) / 1e6, (double)(end_ns - read_ns) / 1e6,
		       image_rows_table(rows)->n, image_rows_size_bytes(rows),
		       elf_image_size_bytes(image));
	image_rows_destroy(rows);
	elf_image_destroy(image);
	return code;
}

int main(int argc, char **argv)
{
	struct cp_err err = {""};
	int code;
	if (argc == 3 && strcmp(argv[1], "--tables") == 0)
		code = bench_tables(argv[2], &err);
	else if (argc == 4 && strtoul(argv[2], NULL, 10) <= SAMPLES_MAX)
		code = bench_process((pid_t)strtol(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
				     (uint32_t)strtoul(argv[3], NULL, 10), &err);
	else {
		fprintf(stderr, "usage: unwind_bench PID SAMPLES DUMP_BYTES\n"
				"       unwind_bench --tables FILE\n");
		return 2;
	}
	if (code < 0)
		fprintf(stderr, "unwind_bench: %s\n", *err.message ? err.message : strerror(-code));
	return code < 0;
}
