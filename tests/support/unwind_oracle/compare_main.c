/*
 * unwind_compare - walk the same samples of a running process by compiled rows, by libunwind and by
 * libdw.
 *
 *     unwind_compare [--samples N] [--dump BYTES] [--show N] PID
 *
 * Prints one line of JSON: how many samples all three agree on, each pair's disagreements, those
 * sorted by cause, and how often the truth could be told. --show describes the first N of each
 * cause on stderr.
 */
#include "causes.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 2000, CAUSES_MAX = 32 };

struct options {
	pid_t pid;
	size_t samples, show;
	uint32_t dump_bytes;
};

struct counts {
	size_t samples, frames, equal, by_libunwind, complete;
	size_t rows_libunwind, rows_libdw, libunwind_libdw; /* pairs with different frames */
	size_t ends; /* the same frames, but rows and libunwind say different reasons */
	size_t by_cause[CAUSES_MAX], unexplained;
	size_t rows_right, rows_wrong, open;
	size_t stops[CP_STOP_COUNT];
};

static bool same_frames(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
	return n_a == n_b && memcmp(a, b, n_a * sizeof(*a)) == 0;
}

static void show_frame(const struct three_ways *ways, const char *who, uint64_t avma)
{
	const struct mapping *mapping = address_space_find(ways->space, avma);
	uint64_t off = 0;
	const char *name = libdw_walker_symbol(ways->libdw, avma, &off);
	const unsigned long long svma = mapping ? avma - mapping->bias : avma;
	fprintf(stderr, "  %-10s %#llx %s+%#llx %s\n", who, svma, name ? name : "?",
		(unsigned long long)off, mapping ? mapping->path : "(in no mapping)");
	if (mapping && mapping->kind == MAPPING_FILE)
		fprintf(stderr,
			"             objdump -d --start-address=%#llx "
			"--stop-address=%#llx %s\n",
			svma - (svma < 32 ? svma : 32), svma + 16, mapping->path);
}

static void show(const struct difference *d, const char *cause)
{
	const struct three_answers *a = d->answers;
	fprintf(stderr,
		"%s\n  rows %zu frames, %s; libunwind %zu, %s; libdw %zu, %s%s; in common %zu\n",
		cause, a->rows.n, cp_stop_name(a->rows.stop), a->libunwind.n,
		cp_stop_name(a->libunwind.stop), a->libdw.n, a->libdw.ended ? "end" : "error",
		a->libdw.missed ? ", wanted what is not in the copy" : "", d->common);
	if (d->common)
		show_frame(d->ways, "agreed", d->at);
	if (d->common < a->rows.n)
		show_frame(d->ways, "rows", a->rows.pcs[d->common]);
	if (d->common < a->libunwind.n)
		show_frame(d->ways, "libunwind", a->libunwind.pcs[d->common]);
	if (d->common < a->libdw.n)
		show_frame(d->ways, "libdw", a->libdw.pcs[d->common]);
}

/* rows and libunwind differ in how a caller is computed and in nothing else: there is no cause. */
static void explain(const struct options *options, const struct difference *d, bool rows_libunwind,
		    int mem_fd, struct counts *counts)
{
	const size_t cause = cause_of(d);
	const bool explained = causes[cause].name && !rows_libunwind;
	size_t *count = explained ? &counts->by_cause[cause] : &counts->unexplained;
	if ((*count)++ < options->show)
		show(d, explained ? causes[cause].name : "unexplained");
	const enum verdict verdict = verdict_of(d, mem_fd);
	counts->rows_right += verdict == VERDICT_ROWS_RIGHT;
	counts->rows_wrong += verdict == VERDICT_ROWS_WRONG;
	counts->open += verdict == VERDICT_OPEN;
	if (verdict == VERDICT_ROWS_WRONG && counts->rows_wrong <= options->show)
		show(d, "rows have a frame that nothing has called");
}

static void compare(const struct options *options, const struct three_ways *ways,
		    const struct capture_sample *sample, const struct three_answers *a, int mem_fd,
		    struct counts *counts)
{
	const bool rows_libunwind =
		!same_frames(a->rows.pcs, a->rows.n, a->libunwind.pcs, a->libunwind.n);
	const bool rows_libdw = !same_frames(a->rows.pcs, a->rows.n, a->libdw.pcs, a->libdw.n);
	const bool libunwind_libdw =
		!same_frames(a->libunwind.pcs, a->libunwind.n, a->libdw.pcs, a->libdw.n);
	counts->samples++;
	counts->frames += a->rows.n;
	counts->by_libunwind += a->rows.by_libunwind;
	counts->complete += cp_stop_is_complete(a->rows.stop);
	counts->stops[a->rows.stop]++;
	counts->rows_libunwind += rows_libunwind;
	counts->rows_libdw += rows_libdw;
	counts->libunwind_libdw += libunwind_libdw;
	counts->ends += !rows_libunwind && a->rows.stop != a->libunwind.stop;
	if (!rows_libunwind && !rows_libdw) {
		counts->equal++;
		return;
	}
	struct difference difference;
	difference_init(ways, sample, a, &difference);
	explain(options, &difference, rows_libunwind, mem_fd, counts);
}

static void print(const struct counts *c)
{
	printf("{\"samples\": %zu, \"frames\": %zu, \"equal\": %zu, \"by_libunwind\": %zu, "
	       "\"complete\": %zu, \"rows_libunwind\": %zu, \"rows_libdw\": %zu, "
	       "\"libunwind_libdw\": %zu, \"ends\": %zu, \"unexplained\": %zu, "
	       "\"rows_right\": %zu, \"rows_wrong\": %zu, \"open\": %zu, \"causes\": {",
	       c->samples, c->frames, c->equal, c->by_libunwind, c->complete, c->rows_libunwind,
	       c->rows_libdw, c->libunwind_libdw, c->ends, c->unexplained, c->rows_right,
	       c->rows_wrong, c->open);
	for (size_t i = 0; causes[i].name; i++)
		printf("%s\"%s\": %zu", i ? ", " : "", causes[i].name, c->by_cause[i]);
	printf("}, \"stops\": {");
	for (int i = 0; i < CP_STOP_COUNT; i++)
		printf("%s\"%s\": %zu", i ? ", " : "", cp_stop_name(i), c->stops[i]);
	printf("}}\n");
}

static int run(const struct options *options, struct cp_err *err)
{
	static struct three_answers answers;
	struct counts counts = {0};
	struct capture *capture = NULL;
	struct three_ways ways = {0};
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", options->pid);
	const int mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	int code = capture_open(options->pid, options->dump_bytes, BATCH, &capture, err);
	if (code == 0)
		code = three_ways_open(options->pid, &ways, err);
	while (code == 0 && counts.samples < options->samples) {
		const size_t n = capture_next(capture, options->samples - counts.samples);
		if (n == 0)
			break;
		three_ways_refresh(&ways);
		for (size_t i = 0; i < n; i++) {
			const struct capture_sample *sample = &capture_samples(capture)[i];
			three_ways_walk(&ways, sample, &answers);
			compare(options, &ways, sample, &answers, mem_fd, &counts);
		}
	}
	if (code == 0)
		print(&counts);
	three_ways_close(&ways);
	capture_close(capture);
	if (mem_fd >= 0)
		close(mem_fd);
	return code;
}

static bool parse(int argc, char **argv, struct options *out)
{
	static const struct option known[] = {{"samples", required_argument, NULL, 's'},
					      {"dump", required_argument, NULL, 'd'},
					      {"show", required_argument, NULL, 'n'},
					      {0}};
	*out = (struct options){.samples = 2000, .dump_bytes = 32768};
	for (;;) {
		switch (getopt_long(argc, argv, "", known, NULL)) {
		case 's':
			out->samples = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			out->dump_bytes = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			out->show = strtoul(optarg, NULL, 10);
			break;
		case -1:
			out->pid = optind + 1 == argc ? (pid_t)strtol(argv[optind], NULL, 10) : 0;
			return out->pid > 0;
		default:
			return false;
		}
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct cp_err err = {""};
	if (!parse(argc, argv, &options)) {
		fprintf(stderr,
			"usage: unwind_compare [--samples N] [--dump BYTES] [--show N] PID\n");
		return 2;
	}
	const int code = run(&options, &err);
	if (code < 0)
		fprintf(stderr, "unwind_compare: %s\n",
			*err.message ? err.message : strerror(-code));
	return code < 0;
}
