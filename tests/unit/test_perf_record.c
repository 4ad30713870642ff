#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/perf_records.h"
#include "capture/perf_record.h"

#include <stdlib.h>
#include <string.h>

static const struct perf_layout LAYOUT = {.n_regs = RECORD_REGS};
static const struct record_origin ORIGIN = {.pid = 100, .tid = 101, .time_ns = 555, .id = 42};

static void test_perf_record__sample_has_all_its_parts(void **state)
{
	(void)state;
	const uint64_t chain[] = {(uint64_t)PERF_CONTEXT_KERNEL, 0xffffffff81000010};
	struct record_bytes bytes;
	struct perf_record record;
	const struct perf_event_header *header =
		record_sample(&bytes, PERF_RECORD_MISC_KERNEL, ORIGIN, 0xffffffff81000010, chain, 2,
			      PERF_SAMPLE_REGS_ABI_64);
	assert_true(perf_record_parse(header, &LAYOUT, &record));
	assert_int_equal(record.type, PERF_RECORD_SAMPLE);
	assert_int_equal(record.misc, PERF_RECORD_MISC_KERNEL);
	assert_int_equal(record.id, 42);
	assert_int_equal(record.time_ns, 555);
	assert_int_equal(record.pid, 100);
	assert_int_equal(record.tid, 101);
	assert_true(record.sample.ip == 0xffffffff81000010);
	assert_int_equal(record.sample.period, 1001001);
	assert_int_equal(record.sample.n_chain, 2);
	assert_true(record.sample.chain[1] == 0xffffffff81000010);
	assert_int_equal(record.sample.regs_abi, PERF_SAMPLE_REGS_ABI_64);
	assert_int_equal(record.sample.regs[16], 0x1010);
	assert_int_equal(record.sample.stack_bytes, 40);
	assert_false(record.sample.stack_full);
	assert_int_equal(record.sample.stack[8], 0x01);
}

static void test_perf_record__sample_without_user_part(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	const struct perf_event_header *header = record_sample(
		&bytes, PERF_RECORD_MISC_KERNEL, ORIGIN, 1, NULL, 0, PERF_SAMPLE_REGS_ABI_NONE);
	assert_true(perf_record_parse(header, &LAYOUT, &record));
	assert_int_equal(record.sample.regs_abi, PERF_SAMPLE_REGS_ABI_NONE);
	assert_null(record.sample.regs);
	assert_null(record.sample.stack);
	assert_int_equal(record.sample.stack_bytes, 0);
}

static void test_perf_record__sample_with_a_full_dump(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	struct perf_event_header *header = record_sample(&bytes, PERF_RECORD_MISC_USER, ORIGIN, 1,
							 NULL, 0, PERF_SAMPLE_REGS_ABI_64);
	const uint64_t all = 64;
	memcpy(bytes.bytes + bytes.n - 8, &all, sizeof(all));
	assert_true(perf_record_parse(header, &LAYOUT, &record));
	assert_int_equal(record.sample.stack_bytes, 64);
	assert_true(record.sample.stack_full);
}

static void test_perf_record__sample_cut_anywhere_is_refused(void **state)
{
	(void)state;
	const uint64_t chain[] = {(uint64_t)PERF_CONTEXT_KERNEL, 1, 2, 3};
	struct record_bytes bytes;
	struct perf_record record;
	struct perf_event_header *header = record_sample(&bytes, PERF_RECORD_MISC_USER, ORIGIN, 1,
							 chain, 4, PERF_SAMPLE_REGS_ABI_64);
	for (uint16_t size = 0; size < bytes.n; size++) {
		/* in memory of just that size, so that a sanitizer sees a read beyond it */
		struct perf_event_header *cut = malloc(size < 8 ? 8 : size);
		assert_non_null(cut);
		header->size = size;
		memcpy(cut, header, size < 8 ? 8 : size);
		assert_false(perf_record_parse(cut, &LAYOUT, &record));
		free(cut);
	}
}

/* Offsets in a record_sample() with an empty chain. */
enum { N_CHAIN_AT = 56, STACK_SIZE_AT = N_CHAIN_AT + 8 + 8 + RECORD_REGS * 8 };

static void test_perf_record__sample_with_hostile_counts_is_refused(void **state)
{
	(void)state;
	static const uint64_t HOSTILE[] = {UINT64_MAX, UINT64_MAX / 8,     UINT64_MAX / 8 + 1,
					   1ULL << 61, 1ULL << 32,         65536,
					   INT64_MAX,  (uint64_t)INT64_MIN};
	static const size_t PLACES[] = {N_CHAIN_AT, STACK_SIZE_AT};
	for (size_t p = 0; p < 2; p++) {
		for (size_t i = 0; i < sizeof(HOSTILE) / sizeof(HOSTILE[0]); i++) {
			struct record_bytes bytes;
			struct perf_record record;
			const struct perf_event_header *header = record_sample(
				&bytes, 0, ORIGIN, 1, NULL, 0, PERF_SAMPLE_REGS_ABI_64);
			memcpy(bytes.bytes + PLACES[p], &HOSTILE[i], 8);
			assert_false(perf_record_parse(header, &LAYOUT, &record));
		}
	}
}

static void test_perf_record__dump_larger_than_its_room_is_refused(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	const struct perf_event_header *header =
		record_sample(&bytes, 0, ORIGIN, 1, NULL, 0, PERF_SAMPLE_REGS_ABI_64);
	const uint64_t too_much = 65;
	memcpy(bytes.bytes + bytes.n - 8, &too_much, sizeof(too_much));
	assert_false(perf_record_parse(header, &LAYOUT, &record));
}

static void test_perf_record__mmap(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	const struct perf_event_header *header =
		record_mmap(&bytes, ORIGIN, 0x7f0000001000, 0x5000, 0x2000, "/usr/lib/libx.so");
	assert_true(perf_record_parse(header, &LAYOUT, &record));
	assert_int_equal(record.type, PERF_RECORD_MMAP2);
	assert_int_equal(record.time_ns, 555);
	assert_int_equal(record.id, 42);
	assert_int_equal(record.mmap.pid, 100);
	assert_true(record.mmap.avma == 0x7f0000001000);
	assert_int_equal(record.mmap.size_bytes, 0x5000);
	assert_int_equal(record.mmap.file_off, 0x2000);
	assert_int_equal(record.mmap.dev_major, 8);
	assert_int_equal(record.mmap.dev_minor, 1);
	assert_int_equal(record.mmap.inode, 4711);
	assert_int_equal(record.mmap.prot, 5);
	assert_string_equal(record.mmap.path, "/usr/lib/libx.so");
}

static void test_perf_record__mmap_beyond_the_address_space_is_refused(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	assert_false(perf_record_parse(
		record_mmap(&bytes, ORIGIN, UINT64_MAX - 10, 0x5000, 0, "/x"), &LAYOUT, &record));
}

static void test_perf_record__text_without_end_is_refused(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	const struct perf_event_header *header = record_comm(&bytes, 0, ORIGIN, "worker");
	memset(bytes.bytes + 16, 'a', 8); /* the name with its NUL */
	assert_false(perf_record_parse(header, &LAYOUT, &record));
}

static void test_perf_record__comm_tells_exec(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	assert_true(perf_record_parse(record_comm(&bytes, 0, ORIGIN, "worker"), &LAYOUT, &record));
	assert_string_equal(record.comm.comm, "worker");
	assert_int_equal(record.comm.tid, 101);
	assert_false(record.comm.exec);
	assert_true(
		perf_record_parse(record_comm(&bytes, PERF_RECORD_MISC_COMM_EXEC, ORIGIN, "worker"),
				  &LAYOUT, &record));
	assert_true(record.comm.exec);
}

static void test_perf_record__fork_and_lost(void **state)
{
	(void)state;
	struct record_bytes bytes;
	struct perf_record record;
	assert_true(perf_record_parse(record_task(&bytes, PERF_RECORD_FORK, ORIGIN, 200, 201),
				      &LAYOUT, &record));
	assert_int_equal(record.task.pid, 200);
	assert_int_equal(record.task.tid, 201);
	assert_int_equal(record.task.parent_pid, 100);
	assert_int_equal(record.task.parent_tid, 101);
	assert_int_equal(record.tid, 101);
	assert_true(perf_record_parse(record_lost(&bytes, ORIGIN, 17), &LAYOUT, &record));
	assert_int_equal(record.lost, 17);
}

static void test_perf_record__others_cut_anywhere_are_refused(void **state)
{
	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		struct record_bytes bytes;
		struct perf_record record;
		struct perf_event_header *header =
			kind == 0   ? record_mmap(&bytes, ORIGIN, 0x1000, 0x1000, 0, "/some/path")
			: kind == 1 ? record_comm(&bytes, 0, ORIGIN, "name")
			: kind == 2 ? record_task(&bytes, PERF_RECORD_EXIT, ORIGIN, 1, 2)
				    : record_lost(&bytes, ORIGIN, 1);
		/* with the trailer's words read from what was before it, a shorter record must not
		 * be read beyond its size; some cuts look like a record of another content */
		for (uint16_t size = 0; size < bytes.n; size++) {
			struct perf_event_header *cut = malloc(size < 8 ? 8 : size);
			assert_non_null(cut);
			header->size = size;
			memcpy(cut, header, size < 8 ? 8 : size);
			bool parsed = perf_record_parse(cut, &LAYOUT, &record);
			assert_false(parsed && size < 8 + 32);
			free(cut);
		}
	}
}

static void test_perf_record__switches_say_which_way_and_why(void **state)
{
	(void)state;
	static const struct {
		uint16_t misc;
		bool out, preempted;
	} cases[] = {
		{0, false, false},
		{PERF_RECORD_MISC_SWITCH_OUT, true, false},
		{PERF_RECORD_MISC_SWITCH_OUT | PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, true, true},
		/* the flag has another meaning on its own */
		{PERF_RECORD_MISC_SWITCH_OUT_PREEMPT, false, false},
	};
	const struct record_origin origin = {.pid = 7, .tid = 8, .time_ns = 99, .id = 5};
	const struct perf_layout layout = {.n_regs = RECORD_REGS};
	for (size_t i = 0; i < 4; i++) {
		struct record_bytes bytes;
		struct perf_record record;
		record_begin(&bytes, PERF_RECORD_SWITCH, cases[i].misc);
		assert_true(perf_record_parse(record_end_with(&bytes, origin), &layout, &record));
		assert_int_equal(record.sw.out, cases[i].out);
		assert_int_equal(record.sw.preempted, cases[i].preempted);
		assert_int_equal(record.tid, 8);
		assert_int_equal(record.time_ns, 99);
		/* of all tasks: the other one's numbers are in front */
		record_begin(&bytes, PERF_RECORD_SWITCH_CPU_WIDE, cases[i].misc);
		record_u32s(&bytes, 70, 80);
		assert_true(perf_record_parse(record_end_with(&bytes, origin), &layout, &record));
		assert_int_equal(record.sw.out, cases[i].out);
		assert_int_equal(record.tid, 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perf_record__sample_has_all_its_parts),
		cmocka_unit_test(test_perf_record__sample_without_user_part),
		cmocka_unit_test(test_perf_record__sample_with_a_full_dump),
		cmocka_unit_test(test_perf_record__sample_cut_anywhere_is_refused),
		cmocka_unit_test(test_perf_record__sample_with_hostile_counts_is_refused),
		cmocka_unit_test(test_perf_record__dump_larger_than_its_room_is_refused),
		cmocka_unit_test(test_perf_record__mmap),
		cmocka_unit_test(test_perf_record__mmap_beyond_the_address_space_is_refused),
		cmocka_unit_test(test_perf_record__text_without_end_is_refused),
		cmocka_unit_test(test_perf_record__comm_tells_exec),
		cmocka_unit_test(test_perf_record__fork_and_lost),
		cmocka_unit_test(test_perf_record__others_cut_anywhere_are_refused),
		cmocka_unit_test(test_perf_record__switches_say_which_way_and_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
