#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "heap_shim/region.h"

static void *map(size_t bytes, int protection)
{
	void *at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	return at;
}

static void test_region__grows_to_its_maximum_and_no_further(void **state)
{
	(void)state;
	struct region region;
	uint8_t *at = map(1 << 20, PROT_READ | PROT_WRITE);
	region_init(&region, at, 1 << 20, false);
	assert_int_equal(region.ready, 0);
	for (uint64_t bytes = 1; bytes <= 1 << 20; bytes += 1000) {
		assert_true(region_need(&region, bytes));
		assert_true(region.ready >= bytes && region.ready <= 1 << 20);
		at[bytes - 1] = 1;
	}
	assert_true(region_need(&region, 1 << 20));
	assert_false(region_need(&region, (1 << 20) + 1));
	munmap(at, 1 << 20);
}

/* Where memory cannot be made, the first part stays usable and the rest is refused. */
static void test_region__says_so_when_there_is_no_room(void **state)
{
	(void)state;
	struct region region;
	uint8_t *at = map(1 << 20, PROT_READ | PROT_WRITE);
	assert_int_equal(mprotect(at + 8192, (1 << 20) - 8192, PROT_NONE), 0);
	region_init(&region, at, 1 << 20, false);
	assert_true(region_need(&region, 8192));
	for (int i = 0; i < 3000; i++)
		assert_false(region_need(&region, 8193));
	assert_true(region_need(&region, 8192));
	/* room again: found out before long */
	assert_int_equal(mprotect(at, 1 << 20, PROT_READ | PROT_WRITE), 0);
	int tries = 0;
	while (!region_need(&region, 8193))
		assert_true(++tries <= 1024);
	munmap(at, 1 << 20);
}

static void test_region__populated_needs_no_growth(void **state)
{
	(void)state;
	struct region region;
	uint8_t bytes[4096];
	region_init(&region, bytes, sizeof(bytes), true);
	assert_true(region_need(&region, sizeof(bytes)));
	assert_false(region_need(&region, sizeof(bytes) + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_region__grows_to_its_maximum_and_no_further),
		cmocka_unit_test(test_region__says_so_when_there_is_no_room),
		cmocka_unit_test(test_region__populated_needs_no_growth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
