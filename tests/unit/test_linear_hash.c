#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap_shim/linear_hash.h"

/* When the table grows by bucket n, only hashes of its parent may move, and only to it. */
static void test_linear_hash__growing_moves_one_chain_only(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 300; n++) {
		unsigned moved = 0;
		for (uint32_t hash = 0; hash < 4096; hash++) {
			const uint32_t before = linear_hash_bucket(hash, n);
			const uint32_t after = linear_hash_bucket(hash, n + 1);
			assert_true(before < n);
			if (before == after)
				continue;
			assert_int_equal(after, n);
			assert_int_equal(before, linear_hash_parent(n));
			moved++;
		}
		assert_true(moved > 0);
	}
}

static void test_linear_hash__powers_of_two_spread_evenly(void **state)
{
	(void)state;
	unsigned counts[64] = {0};
	for (uint32_t hash = 0; hash < 64 * 100; hash++)
		counts[linear_hash_bucket(hash, 64)]++;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(counts[i], 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linear_hash__growing_moves_one_chain_only),
		cmocka_unit_test(test_linear_hash__powers_of_two_spread_evenly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
