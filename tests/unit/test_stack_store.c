#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/stack_store.h"

#include <errno.h>

static stack_id intern(struct stack_store *store, const uint32_t *frames, size_t n)
{
	location_id ids[8];
	stack_id out = {UINT32_MAX};
	for (size_t i = 0; i < n; i++)
		ids[i].v = frames[i];
	assert_int_equal(stack_store_intern(store, ids, n, &out), 0);
	return out;
}

static void test_stack_store__no_frames_are_the_empty_stack(void **state)
{
	(void)state;
	struct stack_store store;
	assert_int_equal(stack_store_init(&store), 0);
	assert_int_equal(intern(&store, NULL, 0).v, 0);
	assert_int_equal(stack_store_depth(&store, STACK_NONE), 0);
	stack_store_deinit(&store);
	stack_store_deinit(&store);
	stack_store_deinit(NULL);
}

static void test_stack_store__frames_come_back_leaf_first(void **state)
{
	(void)state;
	struct stack_store store;
	assert_int_equal(stack_store_init(&store), 0);
	stack_id at = intern(&store, (uint32_t[]){30, 20, 10}, 3);
	assert_int_equal(stack_store_depth(&store, at), 3);
	static const uint32_t expected[] = {30, 20, 10};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(stack_store_leaf(&store, at).v, expected[i]);
		stack_id parent = stack_store_parent(&store, at);
		assert_true(parent.v < at.v);
		at = parent;
	}
	assert_int_equal(at.v, STACK_NONE.v);
	stack_store_deinit(&store);
}

static void test_stack_store__stacks_share_their_root_side(void **state)
{
	(void)state;
	struct stack_store store;
	assert_int_equal(stack_store_init(&store), 0);
	stack_id a = intern(&store, (uint32_t[]){3, 2, 1}, 3);
	assert_int_equal(store.n, 4);
	stack_id b = intern(&store, (uint32_t[]){4, 2, 1}, 3);
	assert_int_equal(store.n, 5);
	assert_int_equal(stack_store_parent(&store, a).v, stack_store_parent(&store, b).v);
	/* the same frames again are the same stack; a part of it is the node on the way */
	assert_int_equal(intern(&store, (uint32_t[]){3, 2, 1}, 3).v, a.v);
	assert_int_equal(intern(&store, (uint32_t[]){2, 1}, 2).v, stack_store_parent(&store, a).v);
	assert_int_equal(store.n, 5);
	/* the order matters */
	assert_true(intern(&store, (uint32_t[]){1, 2, 3}, 3).v != a.v);
	stack_store_deinit(&store);
}

static void test_stack_store__recursion_is_kept_frame_by_frame(void **state)
{
	(void)state;
	struct stack_store store;
	static location_id frames[2000];
	assert_int_equal(stack_store_init(&store), 0);
	for (size_t i = 0; i < 2000; i++)
		frames[i].v = 7;
	stack_id out;
	assert_int_equal(stack_store_intern(&store, frames, 2000, &out), 0);
	assert_int_equal(stack_store_depth(&store, out), 2000);
	assert_int_equal(store.n, 2001);
	stack_store_deinit(&store);
}

static void test_stack_store__clear_starts_anew(void **state)
{
	(void)state;
	struct stack_store store;
	assert_int_equal(stack_store_init(&store), 0);
	intern(&store, (uint32_t[]){3, 2, 1}, 3);
	stack_store_clear(&store);
	assert_int_equal(store.n, 1);
	stack_id only = intern(&store, (uint32_t[]){9}, 1);
	assert_int_equal(only.v, 1);
	assert_int_equal(stack_store_leaf(&store, only).v, 9);
	assert_int_equal(stack_store_depth(&store, only), 1);
	stack_store_deinit(&store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_store__no_frames_are_the_empty_stack),
		cmocka_unit_test(test_stack_store__frames_come_back_leaf_first),
		cmocka_unit_test(test_stack_store__stacks_share_their_root_side),
		cmocka_unit_test(test_stack_store__recursion_is_kept_frame_by_frame),
		cmocka_unit_test(test_stack_store__clear_starts_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
