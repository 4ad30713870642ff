#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "heap_shim/stack_bounds.h"

enum { PAGE = 4096 };

/* @readable pages with nothing mapped around them. */
static uint64_t island(size_t pages)
{
	uint8_t *at = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(at != MAP_FAILED);
	assert_int_equal(mprotect(at + PAGE, pages * PAGE, PROT_READ | PROT_WRITE), 0);
	return (uint64_t)(uintptr_t)at + PAGE;
}

static void test_stack_bounds__a_foreign_stack_is_proven_page_by_page(void **state)
{
	(void)state;
	struct thread_stack stack;
	struct stack_range range;
	const uint64_t base = island(4);
	stack_bounds_init_thread(&stack, 0);
	stack_bounds_begin(&stack, base + 100, &range);
	assert_false(range.own);
	assert_int_equal(range.hi, base + PAGE);
	assert_true(stack_bounds_extend(&stack, &range, base + 3 * PAGE));
	assert_int_equal(range.hi, base + 4 * PAGE);
	assert_false(stack_bounds_extend(&stack, &range, base + 4 * PAGE));
	/* the next walk gets all of it at once */
	stack_bounds_begin(&stack, base + 200, &range);
	assert_int_equal(range.hi, base + 4 * PAGE);
	/* but no page of it that is gone */
	assert_int_equal(munmap((void *)(uintptr_t)(base + 2 * PAGE), 2 * PAGE), 0);
	stack_bounds_begin(&stack, base + 200, &range);
	assert_int_equal(range.hi, base + PAGE);
	assert_false(stack_bounds_extend(&stack, &range, base + 2 * PAGE));
}

static void test_stack_bounds__a_pointer_into_nothing_gives_no_range(void **state)
{
	(void)state;
	struct thread_stack stack;
	struct stack_range range;
	stack_bounds_init_thread(&stack, 0);
	stack_bounds_begin(&stack, 0x10, &range);
	assert_int_equal(range.lo, range.hi);
	assert_false(stack_bounds_extend(&stack, &range, 0x18));
	/* the last page, whose end is 0 */
	stack_bounds_begin(&stack, UINT64_MAX - 15, &range);
	assert_int_equal(range.lo, range.hi);
	assert_false(stack_bounds_extend(&stack, &range, UINT64_MAX - 7));
}

static void test_stack_bounds__a_root_below_the_top_makes_the_stack_the_threads_own(void **state)
{
	(void)state;
	struct thread_stack stack;
	struct stack_range range;
	const uint64_t base = island(8);
	const uint64_t top = base + 8 * PAGE - 64;
	stack_bounds_init_thread(&stack, top);
	stack_bounds_begin(&stack, base + 4 * PAGE + 8, &range);
	stack_bounds_rooted(&stack, &range, top - 2000);
	stack_bounds_begin(&stack, base + 5 * PAGE, &range);
	assert_true(range.own);
	assert_int_equal(range.hi, top);
	/* deeper: the pages between are looked at once */
	stack_bounds_begin(&stack, base + PAGE, &range);
	assert_true(range.own);
	assert_int_equal(stack.own_lo, base + PAGE);
	/* beyond the guard page there is another stack */
	const uint64_t other = island(1);
	stack_bounds_begin(&stack, other, &range);
	assert_false(range.own);
}

static void test_stack_bounds__the_entry_is_known(void **state)
{
	(void)state;
	struct thread_stack stack;
	const uint64_t base = island(2);
	const uint64_t end = base + 2 * PAGE - 512;
	stack_bounds_init_thread(&stack, 0);
	stack_bounds_init_main(&stack, base + 100, end);
	assert_true(stack_bounds_is_entry(&stack, end - 8));
	assert_false(stack_bounds_is_entry(&stack, end));
	assert_false(stack_bounds_is_entry(&stack, end - 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_bounds__a_foreign_stack_is_proven_page_by_page),
		cmocka_unit_test(test_stack_bounds__a_pointer_into_nothing_gives_no_range),
		cmocka_unit_test(
			test_stack_bounds__a_root_below_the_top_makes_the_stack_the_threads_own),
		cmocka_unit_test(test_stack_bounds__the_entry_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
