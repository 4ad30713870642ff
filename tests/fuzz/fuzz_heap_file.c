/*
 * A heap file of any bytes: refused, or read, made into a profile, reported on, and packed.
 *
 * The header is more than 4 KiB and its offsets must fit the file, so an input is taken as a list
 * of changes to a small sound file: 3 bytes of place, 1 byte of value each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define assert_true(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)
#define assert_non_null(pointer) assert_true((pointer) != NULL)

#include "../support/heap_builder.h"
#include "heap/heap_pack.h"
#include "heap/heap_profile.h"
#include "output/heap_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct heap_build sound(bool sampled)
{
	struct heap_build build = build_heap(sampled ? 64 : 0);
	const uint16_t exe = build_heap_module(&build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&build, 0, 0x401000, exe, 0);
	const uint32_t leaf = build_heap_node(&build, main_node, 0x402000, exe, 0);
	build_heap_site(&build, leaf);
	build_heap_site(&build, main_node);
	for (uint32_t i = 0; i < 40; i++)
		build_heap_alloc(&build, 1 + i % 2, 10 + i, i * 20, i % 3);
	build_heap_churn(&build, 1, 100, 16);
	return build;
}

/* @since: as an earlier copy; NULL = none */
static void report(const struct heap_snapshot *snapshot, const struct heap_snapshot *since)
{
	struct profile *profile = NULL;
	stack_id *stacks = NULL;
	struct heap_suppressions rules;
	enum heap_gate_result gate;
	const struct heap_target target = {.state = HEAP_TARGET_KILLED, .now_ns = 9000000000};
	const struct heap_target then = {.state = HEAP_TARGET_COPY, .now_ns = 4000000000};
	FILE *out = fopen("/dev/null", "we");
	assert_true(out && heap_suppressions_init(&rules) == 0);
	assert_true(heap_profile_create(snapshot, &profile, &stacks, NULL) == 0);
	const struct heap_input input = {
		.snapshot = snapshot,
		.target = &target,
		.path = "fuzz",
		.profile = profile,
		.stacks = stacks,
		.rss_unknown = "fuzz",
		.rules = &rules,
		.since = since,
		.since_target = &then,
		.since_path = "then",
	};
	for (int format = REPORT_TEXT; format <= REPORT_MARKDOWN; format++) {
		const struct heap_report_options options = {.format = (enum report_format)format,
							    .fail_on_unfreed = true,
							    .fail_on_growth = true};
		const int rc = heap_report_write(&input, &options, out, &gate, NULL);
		assert_true(rc == 0 || (since && rc == -EINVAL));
	}
	assert_true(heap_profile_add_samples(profile, snapshot, stacks, NULL, HEAP_VALUE_ALL,
					     NULL) == 0);
	fclose(out);
	heap_suppressions_deinit(&rules);
	profile_destroy(profile);
	free(stacks);
}

/* Whatever could be read can be packed, and is the same then. */
static void pack(const struct heap_snapshot *snapshot)
{
	struct heap_snapshot *packed = NULL;
	const int fd = memfd_create("packed", MFD_CLOEXEC);
	assert_true(fd >= 0 && heap_pack(snapshot, fd) == 0);
	assert_true(heap_snapshot_read_fd(fd, "packed", false, &packed, NULL) == 0);
	assert_true(packed->n_blocks == snapshot->n_blocks);
	assert_true(packed->header.n_sites == snapshot->header.n_sites);
	heap_snapshot_destroy(packed);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct heap_build build = sound(n > 0 && (data[0] & 1));
	for (size_t i = 1; i + 4 <= n; i += 4) {
		const size_t at = data[i] | (size_t)data[i + 1] << 8 | (size_t)data[i + 2] << 16;
		build.bytes[at % build.n] = data[i + 3];
	}
	struct heap_snapshot *snapshot = NULL;
	struct cp_err err = {""};
	if (heap_snapshot_read_bytes(build.bytes, build.n, &snapshot, &err) == 0) {
		struct heap_build before = sound(n > 0 && (data[0] & 1));
		struct heap_snapshot *since = NULL;
		assert_true(heap_snapshot_read_bytes(before.bytes, before.n, &since, NULL) == 0);
		report(snapshot, NULL);
		report(snapshot, since);
		report(since, snapshot);
		pack(snapshot);
		heap_snapshot_destroy(since);
		heap_snapshot_destroy(snapshot);
		build_heap_free(&before);
	} else {
		assert_true(err.message[0] != '\0');
	}
	build_heap_free(&build);
	return 0;
}
