#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap/heap_rss.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct heap_live blocks[] = {
	{.address = 0x7f0000001010, .size_bytes = 5000},
	{.address = 0x555500000100, .size_bytes = 3000},
};

static struct heap_snapshot snapshot = {.blocks = blocks, .n_blocks = 2};

static struct heap_rss parse(const char *text)
{
	struct heap_rss rss = {0};
	FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	assert_non_null(file);
	assert_int_equal(heap_rss_parse(file, &snapshot, &rss), 0);
	fclose(file);
	return rss;
}

static void test_heap_rss__every_mapping_has_its_place(void **state)
{
	(void)state;
	const struct heap_rss rss = parse(
		"400000-401000 r-xp 00000000 08:01 77                     /usr/bin/x y\n"
		"Size:                  4 kB\nRss:                   4 kB\nVmFlags: rd ex mr mw "
		"me\n"
		"555500000000-555500100000 rw-p 00000000 00:00 0          [heap]\n"
		"Rss:                 100 kB\nVmFlags: rd wr mr mw me ac\n"
		"7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n"
		"Rss:                  64 kB\nVmFlags: rd wr mr mw me ac\n"
		"7f0000010000-7f0000020000 rw-p 00000000 00:00 0 \n"
		"Rss:                   8 kB\nVmFlags: rd wr mr mw me ac\n"
		"7f0001000000-7f0002000000 rw-p 00000000 00:00 0 \n"
		"Rss:                  12 kB\nVmFlags: rd wr mr mw me nr dd nh\n"
		"7f0002000000-7f0002200000 rw-p 00000000 00:00 0 \n"
		"Rss:                   3 kB\nVmFlags: rd wr mr mw me nr dd hg\n"
		"7f0003000000-7f0004000000 rw-s 00000000 00:1a 5          /dev/shm/x.1.cprof-heap\n"
		"Rss:                 200 kB\nVmFlags: rd wr sh mr mw me ms nr dd\n"
		"7f0005000000-7f0006000000 rw-s 00000000 00:1a 6          /dev/shm/other\n"
		"Rss:                  16 kB\nVmFlags: rd wr sh\n"
		"7ffd00000000-7ffd00020000 rw-p 00000000 00:00 0          [stack]\n"
		"Rss:                  20 kB\nVmFlags: rd wr gd ac\n");
	assert_int_equal(rss.file_bytes, 4 * 1024);
	assert_int_equal(rss.malloc_bytes, (100 + 64) * 1024);
	assert_int_equal(rss.other_anonymous_bytes, 8 * 1024);
	assert_int_equal(rss.recorder_bytes, (12 + 3 + 200) * 1024);
	assert_int_equal(rss.shared_bytes, 16 * 1024);
	assert_int_equal(rss.stack_bytes, 20 * 1024);
	assert_int_equal(rss.total_bytes, 427 * 1024);
	assert_int_equal(rss.live_bytes, 8000);
}

static void test_heap_rss__parts_of_this_process_add_up(void **state)
{
	(void)state;
	struct heap_rss rss = {0};
	char *block = malloc(10000);
	assert_non_null(block);
	memset(block, 1, 10000);
	struct heap_live own = {.address = (uintptr_t)block, .size_bytes = 10000};
	const struct heap_snapshot mine = {.blocks = &own, .n_blocks = 1};
	assert_int_equal(heap_rss_read(getpid(), &mine, &rss), 0);
	assert_true(rss.malloc_bytes >= 10000);
	assert_int_equal(rss.total_bytes, rss.malloc_bytes + rss.other_anonymous_bytes +
						  rss.stack_bytes + rss.file_bytes +
						  rss.shared_bytes + rss.recorder_bytes);
	free(block);
	assert_true(heap_rss_read(0x3fffffff, &mine, &rss) < 0);
}

static void test_heap_rss__nonsense_is_nothing(void **state)
{
	(void)state;
	const struct heap_rss rss = parse("Rss: 5 kB\nxyz\n1-2\nRss: 99999999999999999999999 kB\n");
	assert_int_equal(rss.total_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_rss__every_mapping_has_its_place),
		cmocka_unit_test(test_heap_rss__parts_of_this_process_add_up),
		cmocka_unit_test(test_heap_rss__nonsense_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
