#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/wait_places.h"

static const uint64_t SP = 0x7ffd0000;
enum { WORDS = 16, FP_WORD = 8 };

/* A thread that waits at @pc, with its stack. */
static struct thread_copy copy_of(const uint64_t *words, uint64_t pc)
{
	struct thread_copy copy = {
		.stack = {.sp = SP, .bytes = (const uint8_t *)words, .n_bytes = WORDS * 8}};
	unwind_regs_set_sp(&copy.regs, SP);
	unwind_regs_set_pc(&copy.regs, pc);
	return copy;
}

static void remember(struct wait_places *places, const uint64_t *words, uint64_t pc, uint64_t fp)
{
	const struct thread_copy copy = copy_of(words, pc);
	struct unwind_regs regs = copy.regs;
	unwind_regs_set_fp(&regs, fp);
	wait_places_add(places, &regs, &copy.stack, CP_INFERRED_NO);
}

static void test_wait_places__the_same_place_has_the_same_frame(void **state)
{
	(void)state;
	uint64_t words[WORDS] = {[FP_WORD] = 0x1111, [FP_WORD + 1] = 0x2222};
	struct wait_places places = {.next = 0};
	const uint64_t fp = SP + 8 * FP_WORD;
	remember(&places, words, 0x4000, fp);
	struct thread_copy copy = copy_of(words, 0x4000);
	assert_non_null(wait_places_find(&places, &copy));
	assert_int_equal(wait_places_find(&places, &copy)->fp, fp);
	/* elsewhere, and with another caller at the same place */
	copy = copy_of(words, 0x4001);
	assert_null(wait_places_find(&places, &copy));
	copy = copy_of(words, 0x4000);
	unwind_regs_set_sp(&copy.regs, SP + 16);
	assert_null(wait_places_find(&places, &copy));
	copy = copy_of(words, 0x4000);
	for (int i = 0; i < 2; i++) {
		words[FP_WORD + i]++;
		assert_null(wait_places_find(&places, &copy));
		words[FP_WORD + i]--;
	}
	words[FP_WORD - 1]++; /* what else is on the stack changes all the time */
	assert_non_null(wait_places_find(&places, &copy));
}

static void test_wait_places__a_frame_that_is_not_copied_is_not_remembered(void **state)
{
	(void)state;
	const uint64_t words[WORDS] = {0};
	struct wait_places places = {.next = 0};
	const struct thread_copy copy = copy_of(words, 0x4000);
	const uint64_t fps[] = {SP - 8, SP + 8 * WORDS - 8, SP + 8 * WORDS, UINT64_MAX - 7, 0};
	for (size_t i = 0; i < sizeof(fps) / sizeof(fps[0]); i++) {
		remember(&places, words, 0x4000, fps[i]);
		assert_null(wait_places_find(&places, &copy));
	}
	remember(&places, words, 0x4000, SP + 8 * WORDS - 16);
	assert_non_null(wait_places_find(&places, &copy));
}

static void test_wait_places__the_oldest_makes_room(void **state)
{
	(void)state;
	const uint64_t words[WORDS] = {0};
	struct wait_places places = {.next = 0};
	for (uint64_t i = 0; i <= WAIT_PLACES; i++)
		remember(&places, words, 0x4000 + i, SP + 8);
	/* the same once more takes no other's room */
	remember(&places, words, 0x4001, SP + 8);
	for (uint64_t i = 0; i <= WAIT_PLACES; i++) {
		const struct thread_copy copy = copy_of(words, 0x4000 + i);
		if (i == 0)
			assert_null(wait_places_find(&places, &copy));
		else
			assert_non_null(wait_places_find(&places, &copy));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_places__the_same_place_has_the_same_frame),
		cmocka_unit_test(test_wait_places__a_frame_that_is_not_copied_is_not_remembered),
		cmocka_unit_test(test_wait_places__the_oldest_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
