#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/stack_history.h"

#include <string.h>

enum { CAP = 64, TAIL_AT = 10 };

#define MS UINT64_C(1000000)

struct stack {
	uint64_t pcs[CAP], sps[CAP];
	struct unwind_result result;
};

static struct stack_histories histories;

static int setup(void **state)
{
	(void)state;
	return stack_histories_init(&histories);
}

static int teardown(void **state)
{
	(void)state;
	stack_histories_deinit(&histories);
	return 0;
}

/* Frames of 32 bytes: @n of them, whose outermost but one is @root's. */
static struct unwind_result *make(struct stack *stack, size_t n, uint64_t root, enum cp_stop stop)
{
	for (size_t i = 0; i < n; i++) {
		stack->pcs[i] = 0x400000 + 16 * i;
		stack->sps[i] = 0x7000 + 32 * i;
	}
	if (stop == CP_STOP_END)
		stack->pcs[n - 2] = root;
	stack->result = (struct unwind_result){
		.pcs = stack->pcs, .sps = stack->sps, .cap = CAP, .n = n, .stop = stop};
	return &stack->result;
}

static enum stack_agreement see(struct stack_history *history, uint64_t root, uint64_t at_ms)
{
	struct stack stack;
	return stack_history_see(history, make(&stack, 40, root, CP_STOP_END), at_ms * MS,
				 at_ms * MS);
}

/* A history that believes in @root from @at_ms on. */
static struct stack_history *settled(uint64_t *key, uint64_t root, uint64_t at_ms)
{
	struct stack cut;
	struct stack_history *history = stack_histories_get(&histories, key);
	stack_history_cut(history, make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED));
	for (unsigned i = 0; i <= STACK_HISTORY_AGREEMENTS; i++) {
		assert_false(stack_history_is_settled(history));
		see(history, root, at_ms - STACK_HISTORY_AGREEMENTS + i);
	}
	assert_true(stack_history_is_settled(history));
	return history;
}

static void test_stack_history__equal_stacks_are_believed_after_some(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	assert_int_equal(key, 1);
	assert_ptr_equal(stack_histories_find(&histories, key), history);
	assert_int_equal(see(history, 0xaaaa, 101), STACK_AGREES);
}

static void test_stack_history__one_look_is_one_agreement(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack stack;
	struct stack_history *history = stack_histories_get(&histories, &key);
	stack_history_cut(history, make(&stack, TAIL_AT, 0, CP_STOP_TRUNCATED));
	for (uint64_t sample = 1; sample <= 50; sample++)
		stack_history_see(history, make(&stack, 40, 0xaaaa, CP_STOP_END), sample * MS,
				  60 * MS);
	assert_int_equal(history->agreements, 0);
	assert_false(stack_history_is_settled(history));
}

static void test_stack_history__another_outer_part_unsettles(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	assert_int_equal(see(history, 0xbbbb, 101), STACK_DIFFERS);
	assert_false(stack_history_is_settled(history));
	/* from now on it takes twice as many */
	for (unsigned i = 0; i < 2 * STACK_HISTORY_AGREEMENTS; i++) {
		assert_false(stack_history_is_settled(history));
		assert_int_equal(see(history, 0xbbbb, 102 + i), STACK_AGREES);
	}
	assert_true(stack_history_is_settled(history));
	for (unsigned i = 0; i < 10; i++)
		see(history, i % 2 ? 0xaaaa : 0xcccc, 200 + i);
	assert_int_equal(history->needed, STACK_HISTORY_AGREEMENTS_MAX);
}

static void test_stack_history__stacks_without_the_tail_say_nothing(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack stack;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	const unsigned agreements = history->agreements;
	make(&stack, 40, 0xbbbb, CP_STOP_END);
	stack.pcs[TAIL_AT - 1]++;
	assert_int_equal(stack_history_see(history, &stack.result, 101 * MS, 101 * MS),
			 STACK_UNRELATED);
	assert_int_equal(history->agreements, agreements);
	assert_int_equal(see(history, 0xaaaa, 102), STACK_AGREES);
}

static void test_stack_history__a_cut_stack_gets_the_outer_part(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack cut, whole;
	const struct stack_history *history = settled(&key, 0xaaaa, 100);
	make(&whole, 40, 0xaaaa, CP_STOP_END);
	/* the innermost frames are its own */
	make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED);
	cut.pcs[0] = 0x1234;
	assert_true(stack_history_join(history, &cut.result, 101 * MS));
	assert_int_equal(cut.result.n, 40);
	assert_int_equal(cut.result.stop, CP_STOP_END);
	assert_int_equal(cut.pcs[0], 0x1234);
	assert_memory_equal(cut.pcs + 1, whole.pcs + 1, 39 * sizeof(cut.pcs[0]));
	assert_memory_equal(cut.sps, whole.sps, 40 * sizeof(cut.sps[0]));
}

static void test_stack_history__the_last_three_frames_must_be_the_same(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack cut, before;
	const struct stack_history *history = settled(&key, 0xaaaa, 100);
	for (size_t back = 1; back <= STACK_HISTORY_TAIL; back++) {
		for (int what = 0; what < 2; what++) {
			make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED);
			(what ? cut.pcs : cut.sps)[TAIL_AT - back] += 8;
			before = cut;
			assert_false(stack_history_join(history, &cut.result, 101 * MS));
			assert_memory_equal(cut.pcs, before.pcs, sizeof(cut.pcs));
			assert_int_equal(cut.result.n, TAIL_AT);
			assert_int_equal(cut.result.stop, CP_STOP_TRUNCATED);
		}
	}
	/* of a leaf and one caller that has to do; a leaf alone has none */
	make(&cut, 2, 0, CP_STOP_TRUNCATED);
	cut.pcs[0] = 0x1234;
	assert_true(stack_history_join(history, &cut.result, 101 * MS));
	make(&cut, 1, 0, CP_STOP_TRUNCATED);
	assert_false(stack_history_join(history, &cut.result, 101 * MS));
}

static void test_stack_history__old_stacks_are_not_used(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack cut;
	const struct stack_history *history = settled(&key, 0xaaaa, 100);
	assert_false(stack_history_join(history, make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED),
					100 * MS + STACK_HISTORY_AGE_MAX_NS + 1));
	assert_true(stack_history_join(history, make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED),
				       100 * MS + STACK_HISTORY_AGE_MAX_NS));
}

/* For every size of the result: both sides are kept, and nothing is lost without being counted. */
static void test_stack_history__what_does_not_fit_is_left_out_in_the_middle(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack cut, whole;
	const struct stack_history *history = settled(&key, 0xaaaa, 100);
	make(&whole, 40, 0xaaaa, CP_STOP_END);
	for (size_t cap = TAIL_AT; cap <= 41; cap++) {
		make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED);
		cut.result.cap = cap;
		assert_true(stack_history_join(history, &cut.result, 101 * MS));
		const size_t n = cap < 40 ? cap : 40;
		const size_t leaf_side = n < 40 ? unwind_leaf_side(cap) : n;
		assert_int_equal(cut.result.n, n);
		assert_int_equal(cut.result.n_omitted, 40 - n);
		assert_int_equal(cut.result.stop, n < 40 ? CP_STOP_DEPTH : CP_STOP_END);
		assert_memory_equal(cut.pcs, whole.pcs, leaf_side * sizeof(cut.pcs[0]));
		assert_memory_equal(cut.pcs + leaf_side, whole.pcs + 40 - (n - leaf_side),
				    (n - leaf_side) * sizeof(cut.pcs[0]));
	}
}

static void test_stack_history__another_thread_starts_anew(void **state)
{
	(void)state;
	uint64_t key = 0, reused = 0;
	struct stack cut;
	settled(&key, 0xaaaa, 100);
	/* the same tid, given to another thread: its key is not set */
	const struct stack_history *history = stack_histories_get(&histories, &reused);
	assert_int_not_equal(reused, key);
	assert_int_equal(history->n, 0);
	assert_false(
		stack_history_join(history, make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED), 101 * MS));
	assert_null(stack_histories_find(&histories, 0));
}

static void test_stack_history__memory_is_bounded(void **state)
{
	(void)state;
	enum { FRAMES = 1 << 15, BYTES = FRAMES * sizeof(struct stack_link) };
	static uint64_t pcs[FRAMES], sps[FRAMES];
	uint64_t keys[STACK_HISTORY_THREADS + 10] = {0};
	for (size_t i = 0; i < FRAMES; i++)
		sps[i] = pcs[i] = 16 * (i + 1);
	struct unwind_result result = {
		.pcs = pcs, .sps = sps, .cap = FRAMES, .n = FRAMES, .stop = CP_STOP_END};
	size_t n_kept = 0;
	for (size_t i = 0; i < STACK_HISTORY_THREADS + 10; i++) {
		struct stack_history *history = stack_histories_get(&histories, &keys[i]);
		stack_history_cut(history, &result);
		stack_history_see(history, &result, i + 1, i + 1);
		n_kept += history->n != 0;
		assert_true(histories.n_bytes <= STACK_HISTORY_MAX_BYTES);
	}
	/* those that displaced one of the first ten have found its room */
	assert_int_equal(n_kept, STACK_HISTORY_MAX_BYTES / BYTES + 10);
	assert_null(stack_histories_find(&histories, keys[9]));
	assert_non_null(stack_histories_find(&histories, keys[10]));
	assert_int_equal(histories.n_bytes, STACK_HISTORY_MAX_BYTES);
}

static void test_stack_history__the_outer_part_is_what_lies_beyond_the_tail(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack whole, cut;
	const struct stack_history *history = settled(&key, 0xaaaa, 100);
	size_t n = 0;
	const struct stack_link *links = stack_history_outer(history, 101 * MS, &n);
	make(&whole, 40, 0xaaaa, CP_STOP_END);
	assert_non_null(links);
	assert_int_equal(n, 40 - TAIL_AT);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(links[i].sp, whole.sps[TAIL_AT + i]);
		assert_int_equal(links[i].pc, whole.pcs[TAIL_AT + i]);
	}
	stack_history_append(history, make(&cut, TAIL_AT, 0, CP_STOP_TRUNCATED));
	assert_int_equal(cut.result.stop, CP_STOP_END);
	assert_int_equal(cut.result.n, 40);
	assert_memory_equal(cut.pcs, whole.pcs, 40 * sizeof(cut.pcs[0]));
	assert_memory_equal(cut.sps, whole.sps, 40 * sizeof(cut.sps[0]));
}

static void test_stack_history__what_is_old_is_walked_again(void **state)
{
	(void)state;
	uint64_t key = 0;
	size_t n;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	const uint64_t last_ns = 100 * MS + STACK_HISTORY_REFRESH_NS;
	assert_non_null(stack_history_outer(history, last_ns, &n));
	assert_null(stack_history_outer(history, last_ns + 1, &n));
	/* to be found again does not make it younger */
	stack_history_confirm(history, last_ns, last_ns);
	assert_null(stack_history_outer(history, last_ns + 1, &n));
}

static void test_stack_history__frames_without_information_are_walked_each_time(void **state)
{
	(void)state;
	uint64_t key = 0;
	size_t n;
	struct stack stack;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	make(&stack, 40, 0xaaaa, CP_STOP_END);
	stack.result.n_fp_frames = 1;
	assert_int_equal(stack_history_see(history, &stack.result, 101 * MS, 101 * MS),
			 STACK_AGREES);
	assert_null(stack_history_outer(history, 102 * MS, &n));
}

static void test_stack_history__being_found_again_is_an_agreement_of_later_samples(void **state)
{
	(void)state;
	uint64_t key = 0;
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	const unsigned agreements = history->agreements;
	stack_history_confirm(history, 101 * MS, 110 * MS);
	assert_int_equal(history->agreements, agreements + 1);
	/* the look of 110 ms serves this one too: it says nothing new */
	stack_history_confirm(history, 105 * MS, 110 * MS);
	assert_int_equal(history->agreements, agreements + 1);
	stack_history_confirm(history, 111 * MS, 120 * MS);
	assert_int_equal(history->agreements, agreements + 2);
}

static void test_stack_history__what_is_too_deep_is_looked_at_ever_more_seldom(void **state)
{
	(void)state;
	uint64_t key = 0, now_ns = 100 * MS, hold_ns = STACK_HISTORY_DEEP_HOLD_NS;
	const uint64_t end = UINT64_C(0x7ffff0000000);
	struct stack_history *history = settled(&key, 0xaaaa, 100);
	assert_false(stack_history_is_too_deep(history, end, now_ns));
	for (unsigned i = 0; i < 12; i++) {
		stack_history_too_deep(history, end, now_ns);
		assert_true(stack_history_is_too_deep(history, end, now_ns + hold_ns - 1));
		assert_false(stack_history_is_too_deep(history, end, now_ns + hold_ns));
		now_ns += hold_ns;
		hold_ns = hold_ns * 2 < STACK_HISTORY_DEEP_HOLD_MAX_NS
				  ? hold_ns * 2
				  : STACK_HISTORY_DEEP_HOLD_MAX_NS;
	}
	stack_history_too_deep(history, end, now_ns);
	/* deeper still is too deep; what ends further out may not be, nor another stack */
	assert_true(stack_history_is_too_deep(history, end - 4096, now_ns + 1));
	assert_false(stack_history_is_too_deep(history, end + 1, now_ns + 1));
	assert_false(stack_history_is_too_deep(history, end - (16 << 20), now_ns + 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_stack_history__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(equal_stacks_are_believed_after_some),
		TEST(one_look_is_one_agreement),
		TEST(another_outer_part_unsettles),
		TEST(stacks_without_the_tail_say_nothing),
		TEST(a_cut_stack_gets_the_outer_part),
		TEST(the_last_three_frames_must_be_the_same),
		TEST(old_stacks_are_not_used),
		TEST(what_does_not_fit_is_left_out_in_the_middle),
		TEST(another_thread_starts_anew),
		TEST(memory_is_bounded),
		TEST(the_outer_part_is_what_lies_beyond_the_tail),
		TEST(what_is_old_is_walked_again),
		TEST(frames_without_information_are_walked_each_time),
		TEST(being_found_again_is_an_agreement_of_later_samples),
		TEST(what_is_too_deep_is_looked_at_ever_more_seldom),
	};
	return cmocka_run_group_tests_name("stack_history", tests, NULL, NULL);
}
