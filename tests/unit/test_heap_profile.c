#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/heap_builder.h"
#include "heap/heap_profile.h"
#include "profile/header_keys.h"

/* A heap file, read, as a profile. */
struct made {
	struct heap_build build;
	struct heap_snapshot *snapshot;
	struct profile *profile;
	stack_id *stacks;
};

static struct made make(struct heap_build build)
{
	struct made made = {.build = build};
	assert_int_equal(heap_snapshot_read_bytes(build.bytes, build.n, &made.snapshot, NULL), 0);
	assert_int_equal(heap_profile_create(made.snapshot, &made.profile, &made.stacks, NULL), 0);
	return made;
}

static struct made make_with_samples(struct heap_build build, enum heap_value value)
{
	struct made made = make(build);
	assert_int_equal(heap_profile_add_samples(made.profile, made.snapshot, made.stacks, NULL,
						  value, NULL),
			 0);
	return made;
}

static void release(struct made *made)
{
	profile_destroy(made->profile);
	free(made->stacks);
	heap_snapshot_destroy(made->snapshot);
	build_heap_free(&made->build);
}

static struct heap_build sample(void)
{
	struct heap_build build = build_heap(0);
	const uint16_t lib = build_heap_module(&build, "/lib/libx.so", 0x7f0000000000);
	const uint16_t exe = build_heap_module(&build, "/usr/bin/built", 0x400000);
	const uint32_t main_node = build_heap_node(&build, 0, 0x401234, exe, 0);
	const uint32_t leaf = build_heap_node(&build, main_node, 0x7f0000002222, lib, 0);
	const uint32_t cut = build_heap_node(&build, 0, 0x9999, 0, HEAP_STACK_NO_CFI);
	build_heap_site(&build, leaf);
	build_heap_site(&build, cut);
	build_heap_alloc(&build, 1, 100, 1, 1);
	build_heap_alloc(&build, 1, 50, 1, 1);
	build_heap_churn(&build, 1, 10, 8);
	build_heap_churn(&build, 2, 4, 16);
	return build;
}

static int64_t value(const struct profile *profile, size_t sample_index, const char *type)
{
	const int column = profile_value_column(profile, type);
	assert_true(column >= 0);
	return profile->values[sample_index * profile->n_value_types + (size_t)column];
}

static void test_heap_profile__columns_are_those_of_go(void **state)
{
	(void)state;
	struct made made = make_with_samples(sample(), HEAP_VALUE_ALL);
	const struct profile *profile = made.profile;
	assert_int_equal(profile->n_value_types, 6);
	assert_string_equal(profile_text(profile, profile->value_types[5].type), "inuse_space");
	assert_int_equal(profile->n_samples, 2);
	assert_int_equal(value(profile, 0, "alloc_objects"), 12);
	assert_int_equal(value(profile, 0, "alloc_space"), 230);
	assert_int_equal(value(profile, 0, "inuse_objects"), 2);
	assert_int_equal(value(profile, 0, "inuse_space"), 150);
	assert_int_equal(value(profile, 1, "alloc_objects"), 4);
	assert_int_equal(value(profile, 1, "inuse_space"), 0);
	assert_int_equal(profile->samples[0].stop, CP_STOP_END);
	assert_int_equal(profile->samples[1].stop, CP_STOP_NO_CFI);
	release(&made);
}

static void test_heap_profile__one_value_leaves_out_who_has_none(void **state)
{
	(void)state;
	struct made made = make_with_samples(sample(), HEAP_VALUE_LIVE);
	const struct profile *profile = made.profile;
	assert_int_equal(profile->n_value_types, 1);
	assert_int_equal(profile->n_samples, 1);
	assert_int_equal(value(profile, 0, "inuse_space"), 150);
	release(&made);
}

/* What a report suppresses is not in the picture, but told. */
static void test_heap_profile__what_is_left_out_is_told(void **state)
{
	(void)state;
	struct made made = make(sample());
	const bool left_out[] = {false, true, false};
	assert_int_equal(heap_profile_add_samples(made.profile, made.snapshot, made.stacks,
						  left_out, HEAP_VALUE_BYTES, NULL),
			 0);
	assert_int_equal(made.profile->n_samples, 1);
	assert_int_equal(value(made.profile, 0, "alloc_space"), 64);
	assert_string_equal(profile_header_get(made.profile, HEADER_HEAP_SUPPRESSED), "230");
	release(&made);
}

/* What the heap file leaves out of long stacks is their outer side, not the middle. */
static void test_heap_profile__long_stacks_have_no_root(void **state)
{
	(void)state;
	struct heap_build build = build_heap(0);
	const uint16_t exe = build_heap_module(&build, "/usr/bin/built", 0x400000);
	build_heap_site(&build, build_heap_node(&build, 0, 0x401234, exe, HEAP_STACK_TRUNCATED));
	build_heap_alloc(&build, 1, 100, 1, 1);
	struct made made = make_with_samples(build, HEAP_VALUE_LIVE);
	const struct profile *profile = made.profile;
	assert_int_equal(profile->n_samples, 1);
	assert_int_equal(profile->samples[0].stop, CP_STOP_TRUNCATED);
	assert_false(cp_stop_has_root(profile->samples[0].stop));
	release(&made);
}

/* Addresses are stated as in the file, the program is the first module, unknown code is itself. */
static void test_heap_profile__stacks_are_module_and_svma(void **state)
{
	(void)state;
	struct made made = make(sample());
	const struct profile *profile = made.profile;
	const stack_id *stacks = made.stacks;
	assert_string_equal(profile_text(profile, profile->modules[0].path), "/usr/bin/built");
	assert_string_equal(profile_text(profile, profile->modules[0].build_id), "ab02");
	assert_int_equal(stack_store_depth(&profile->stacks, stacks[1]), 2);
	const struct profile_location *leaf =
		&profile->locations[stack_store_leaf(&profile->stacks, stacks[1]).v];
	assert_int_equal(leaf->svma, 0x2222);
	assert_string_equal(profile_text(profile, profile->modules[leaf->module.v].path),
			    "/lib/libx.so");
	const struct profile_location *cut =
		&profile->locations[stack_store_leaf(&profile->stacks, stacks[2]).v];
	assert_int_equal(cut->svma, 0x9999);
	assert_string_equal(profile_text(profile, profile->modules[cut->module.v].path),
			    PROFILE_PATH_UNKNOWN);
	assert_int_equal(stacks[0].v, 0);
	release(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_profile__columns_are_those_of_go),
		cmocka_unit_test(test_heap_profile__one_value_leaves_out_who_has_none),
		cmocka_unit_test(test_heap_profile__what_is_left_out_is_told),
		cmocka_unit_test(test_heap_profile__long_stacks_have_no_root),
		cmocka_unit_test(test_heap_profile__stacks_are_module_and_svma),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
