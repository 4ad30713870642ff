#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/flame_tree.h"

#include "../support/profile_builder.h"

#include <errno.h>
#include <string.h>

static struct flame_tree *build_tree(const struct profile *profile, const char *thread_re)
{
	struct flame_tree *tree;
	struct cp_err err = {""};
	assert_int_equal(flame_tree_create(profile, thread_re, &tree, &err), 0);
	return tree;
}

/* The child of a node by its name, which must be the only one of that name. */
static uint32_t child_named(const struct flame_tree *tree, uint32_t parent, const char *name)
{
	uint32_t found = FLAME_NONE;
	for (uint32_t c = tree->nodes[parent].first_child; c != FLAME_NONE;
	     c = tree->nodes[c].next_sibling) {
		if (strcmp(flame_tree_name(tree, &tree->nodes[c]), name) == 0) {
			assert_int_equal(found, FLAME_NONE);
			found = c;
		}
	}
	assert_int_not_equal(found, FLAME_NONE);
	return found;
}

/* Follow names from the root; the last argument is NULL. */
static const struct flame_node *node_at(const struct flame_tree *tree, ...)
{
	va_list names;
	uint32_t node = FLAME_ROOT;
	va_start(names, tree);
	for (const char *name; (name = va_arg(names, const char *));)
		node = child_named(tree, node, name);
	va_end(names);
	return &tree->nodes[node];
}

static void assert_values(const struct flame_node *node, int64_t self, int64_t total)
{
	assert_int_equal(node->self, self);
	assert_int_equal(node->total, total);
}

static void test_flame_tree__merges_common_prefixes_and_keeps_the_order_of_calls(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id main_at = build_at(profile, exe, "main", "m.c", 5);
	location_id a = build_at(profile, exe, "a", "m.c", 10);
	location_id b = build_at(profile, exe, "b", "m.c", 20);
	BUILD_SAMPLES(profile, thread, 5, a, main_at);
	BUILD_SAMPLES(profile, thread, 3, b, a, main_at);
	BUILD_SAMPLES(profile, thread, 2, b, main_at);
	BUILD_SAMPLES(profile, thread, 1, main_at);

	struct flame_tree *tree = build_tree(profile, NULL);
	assert_int_equal(tree->n, 6);
	assert_values(node_at(tree, NULL), 0, 11);
	assert_values(node_at(tree, "app", NULL), 0, 11);
	assert_values(node_at(tree, "app", "main", NULL), 1, 11);
	assert_values(node_at(tree, "app", "main", "a", NULL), 5, 8);
	assert_values(node_at(tree, "app", "main", "a", "b", NULL), 3, 3);
	assert_values(node_at(tree, "app", "main", "b", NULL), 2, 2);
	assert_int_equal(tree->max_depth, 4);
	assert_int_equal(node_at(tree, "app", "main", NULL)->n_children, 2);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__every_total_is_self_plus_children(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id at[6];
	static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5"};
	int64_t sum = 0;
	uint32_t random = 1;
	for (size_t i = 0; i < 6; i++)
		at[i] = build_at(profile, exe, names[i], "f.c", 1);
	for (int i = 0; i < 500; i++) {
		location_id stack[8];
		size_t n = 0;
		do {
			random = random * 1664525 + 1013904223;
			stack[n++] = at[(random >> 16) % 6];
		} while (n < 8 && (random >> 24) % 4);
		build_stopped(profile, thread, i % 7 ? CP_STOP_END : CP_STOP_NO_CFI, i, stack, n);
		sum += i;
	}
	struct flame_tree *tree = build_tree(profile, NULL);
	assert_int_equal(tree->nodes[FLAME_ROOT].total, sum);
	for (uint32_t i = 0; i < tree->n; i++) {
		int64_t expected = tree->nodes[i].self;
		uint32_t children = 0;
		for (uint32_t c = tree->nodes[i].first_child; c != FLAME_NONE;
		     c = tree->nodes[c].next_sibling, children++) {
			expected += tree->nodes[c].total;
			assert_int_equal(tree->nodes[c].parent, i);
			assert_true(c > i);
			assert_int_equal(tree->nodes[c].depth, tree->nodes[i].depth + 1);
		}
		assert_int_equal(tree->nodes[i].total, expected);
		assert_int_equal(tree->nodes[i].n_children, children);
	}
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__recursion_is_a_tower(void **state)
{
	(void)state;
	enum { DEEP = 2500 };
	static location_id stack[DEEP];
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id f = build_at(profile, build_module(profile, "/bin/app", true), "f", "f.c", 1);
	for (size_t i = 0; i < DEEP; i++)
		stack[i] = f;
	build_stopped(profile, thread, CP_STOP_END, 4, stack, DEEP);
	build_stopped(profile, thread, CP_STOP_END, 6, stack, 1000);
	struct flame_tree *tree = build_tree(profile, NULL);
	assert_int_equal(tree->n, 2 + DEEP);
	assert_int_equal(tree->max_depth, 1 + DEEP);
	assert_values(&tree->nodes[2], 0, 10);
	assert_values(&tree->nodes[1 + 1000], 6, 10);
	assert_values(&tree->nodes[1 + DEEP], 4, 4);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__lines_of_a_function_are_one_node_that_shows_the_hottest(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id callee = build_at(profile, exe, "callee", "f.c", 90);
	location_id cold = build_at(profile, exe, "f", "f.c", 7);
	location_id hot = build_at(profile, exe, "f", "f.c", 31);
	/* line 7 has more samples of its own, line 31 has more that pass through it */
	BUILD_SAMPLES(profile, thread, 4, cold);
	BUILD_SAMPLES(profile, thread, 1, hot);
	BUILD_SAMPLES(profile, thread, 5, callee, hot);
	struct flame_tree *tree = build_tree(profile, NULL);
	const struct flame_node *f = node_at(tree, "app", "f", NULL);
	assert_values(f, 5, 10);
	assert_int_equal(frames_get(tree->frames, f->frame)->line, 31);
	assert_values(node_at(tree, "app", "f", "callee", NULL), 5, 5);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__equal_lines_show_the_lower(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	BUILD_SAMPLES(profile, thread, 4, build_at(profile, exe, "f", "f.c", 31));
	BUILD_SAMPLES(profile, thread, 4, build_at(profile, exe, "f", "f.c", 7));
	struct flame_tree *tree = build_tree(profile, NULL);
	const struct flame_node *f = node_at(tree, "app", "f", NULL);
	assert_int_equal(frames_get(tree->frames, f->frame)->line, 7);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__inlined_frames_are_levels_of_their_own(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	struct build_line chain[] = {
		{"inner", "i.h", 3, 1}, {"middle", "i.h", 9, 8}, {"outer", "o.c", 40, 30}};
	location_id inlined = build_chain(profile, exe, chain, 3);
	location_id plain = build_at(profile, exe, "inner", "i.h", 3);
	BUILD_SAMPLES(profile, thread, 6, inlined);
	BUILD_SAMPLES(profile, thread, 4, plain);
	struct flame_tree *tree = build_tree(profile, NULL);
	const struct flame_node *inner = node_at(tree, "app", "outer", "middle", "inner", NULL);
	assert_values(inner, 6, 6);
	assert_true(frames_get(tree->frames, inner->frame)->inlined);
	assert_values(node_at(tree, "app", "outer", NULL), 0, 6);
	assert_false(frames_get(tree->frames, node_at(tree, "app", "outer", NULL)->frame)->inlined);
	/* called as a function it is another thing than inlined */
	assert_values(node_at(tree, "app", "inner", NULL), 4, 4);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__same_name_in_two_modules_or_files_stays_two(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	module_id exe = build_module(profile, "/bin/app", true);
	module_id lib = build_module(profile, "/lib/l.so", true);
	BUILD_SAMPLES(profile, thread, 1, build_at(profile, exe, "init", "a.c", 1));
	BUILD_SAMPLES(profile, thread, 2, build_at(profile, exe, "init", "b.c", 1));
	BUILD_SAMPLES(profile, thread, 4, build_at(profile, lib, "init", "a.c", 1));
	struct flame_tree *tree = build_tree(profile, NULL);
	const struct flame_node *comm = node_at(tree, "app", NULL);
	assert_int_equal(comm->n_children, 3);
	/* in the order of name, file, module */
	uint32_t c = comm->first_child;
	assert_int_equal(tree->nodes[c].total, 1);
	c = tree->nodes[c].next_sibling;
	assert_int_equal(tree->nodes[c].total, 4);
	c = tree->nodes[c].next_sibling;
	assert_int_equal(tree->nodes[c].total, 2);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__cut_stacks_stand_under_a_marker(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id f = build_at(profile, exe, "f", "f.c", 1);
	build_stopped(profile, thread, CP_STOP_END, 10, &f, 1);
	build_stopped(profile, thread, CP_STOP_NO_USER, 5, &f, 1);
	build_stopped(profile, thread, CP_STOP_TRUNCATED, 3, &f, 1);
	build_stopped(profile, thread, CP_STOP_SP_BACKWARDS, 2, NULL, 0);
	struct flame_tree *tree = build_tree(profile, NULL);
	assert_values(node_at(tree, "app", NULL), 0, 20);
	assert_values(node_at(tree, "app", "f", NULL), 15, 15);
	assert_values(node_at(tree, "app", "[truncated]", NULL), 0, 3);
	assert_values(node_at(tree, "app", "[truncated]", "f", NULL), 3, 3);
	assert_values(node_at(tree, "app", "[sp_backwards]", NULL), 2, 2);
	/* markers come first */
	assert_int_equal(tree->nodes[node_at(tree, "app", NULL)->first_child].kind,
			 FLAME_KIND_STOP);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__markers_are_the_names_of_the_stops(void **state)
{
	(void)state;
	struct flame_tree tree = {0};
	for (int stop = 0; stop < CP_STOP_COUNT; stop++) {
		struct flame_node node = {.kind = FLAME_KIND_STOP, .stop = (enum cp_stop)stop};
		const char *name = flame_tree_name(&tree, &node);
		size_t n = strlen(cp_stop_name(node.stop));
		assert_int_equal(strlen(name), n + 2);
		assert_int_equal(name[0], '[');
		assert_memory_equal(name + 1, cp_stop_name(node.stop), n);
		assert_int_equal(name[n + 1], ']');
	}
}

static void test_flame_tree__processes_are_the_first_level_in_order(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	location_id f = build_at(profile, exe, "f", "f.c", 1);
	BUILD_SAMPLES(profile, build_thread(profile, 2, 2, "zeta", "zeta"), 1, f);
	BUILD_SAMPLES(profile, build_thread(profile, 3, 3, "alpha", "alpha"), 2, f);
	BUILD_SAMPLES(profile, build_thread(profile, 3, 4, "alpha", "helper"), 4, f);
	BUILD_SAMPLES(profile, build_thread(profile, 5, 5, "", ""), 8, f);
	struct flame_tree *tree = build_tree(profile, NULL);
	uint32_t c = tree->nodes[FLAME_ROOT].first_child;
	assert_string_equal(flame_tree_name(tree, &tree->nodes[c]), "[unknown]");
	assert_int_equal(tree->nodes[c].total, 8);
	c = tree->nodes[c].next_sibling;
	assert_string_equal(flame_tree_name(tree, &tree->nodes[c]), "alpha");
	assert_int_equal(tree->nodes[c].total, 6);
	c = tree->nodes[c].next_sibling;
	assert_string_equal(flame_tree_name(tree, &tree->nodes[c]), "zeta");
	assert_int_equal(tree->nodes[c].next_sibling, FLAME_NONE);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__thread_filter_matches_process_or_thread(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	location_id f = build_at(profile, exe, "f", "f.c", 1);
	BUILD_SAMPLES(profile, build_thread(profile, 2, 2, "web", "main"), 1, f);
	BUILD_SAMPLES(profile, build_thread(profile, 2, 3, "web", "io-1"), 2, f);
	BUILD_SAMPLES(profile, build_thread(profile, 4, 4, "db", "io-2"), 4, f);
	struct flame_tree *tree = build_tree(profile, "^io-[0-9]+$");
	assert_int_equal(tree->nodes[FLAME_ROOT].total, 6);
	flame_tree_destroy(tree);
	tree = build_tree(profile, "web");
	assert_int_equal(tree->nodes[FLAME_ROOT].total, 3);
	flame_tree_destroy(tree);

	struct cp_err err = {""};
	struct flame_tree *untouched = NULL;
	assert_int_equal(flame_tree_create(profile, "nginx", &untouched, &err), -ENODATA);
	assert_null(untouched);
	assert_string_equal(err.message,
			    "no sample is of a thread that matches \"nginx\"; there are: "
			    "\"web\", \"main\", \"io-1\", \"db\", \"io-2\"");
	assert_int_equal(flame_tree_create(profile, "a(", &untouched, &err), -EINVAL);
	assert_non_null(strstr(err.message, "\"a(\""));
	assert_null(untouched);
	profile_destroy(profile);
}

static void test_flame_tree__no_samples_is_an_error_with_a_message(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	struct flame_tree *tree = NULL;
	struct cp_err err = {""};
	assert_int_equal(flame_tree_create(profile, NULL, &tree, &err), -ENODATA);
	assert_true(err.message[0] != '\0');
	assert_null(tree);
	profile_destroy(profile);
}

static void test_flame_tree__foreign_negative_values_are_left_out_and_counted(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	BUILD_SAMPLES(profile, thread, 9, build_at(profile, exe, "f", "f.c", 1));
	BUILD_SAMPLES(profile, thread, -4, build_at(profile, exe, "g", "g.c", 1));
	struct flame_tree *tree = build_tree(profile, NULL);
	assert_int_equal(tree->nodes[FLAME_ROOT].total, 9);
	assert_int_equal(tree->negative_left_out, 1);
	flame_tree_destroy(tree);
	profile_destroy(profile);
}

static void test_flame_tree__a_sum_beyond_the_range_is_refused(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	struct profile_sample_key key = {.thread = build_thread(profile, 1, 1, "app", "app"),
					 .time_ns = -1};
	int64_t values[PROFILE_MAX_VALUES] = {INT64_MAX - 1, 0};
	for (int i = 0; i < 2; i++) {
		location_id f = build_at(profile, exe, i ? "f" : "g", "f.c", 1);
		assert_int_equal(stack_store_intern(&profile->stacks, &f, 1, &key.stack), 0);
		assert_int_equal(profile_add_sample(profile, &key, values), 0);
	}
	struct flame_tree *tree = NULL;
	struct cp_err err = {""};
	assert_int_equal(flame_tree_create(profile, NULL, &tree, &err), -ERANGE);
	assert_true(err.message[0] != '\0');
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_flame_tree__merges_common_prefixes_and_keeps_the_order_of_calls),
		cmocka_unit_test(test_flame_tree__every_total_is_self_plus_children),
		cmocka_unit_test(test_flame_tree__recursion_is_a_tower),
		cmocka_unit_test(
			test_flame_tree__lines_of_a_function_are_one_node_that_shows_the_hottest),
		cmocka_unit_test(test_flame_tree__equal_lines_show_the_lower),
		cmocka_unit_test(test_flame_tree__inlined_frames_are_levels_of_their_own),
		cmocka_unit_test(test_flame_tree__same_name_in_two_modules_or_files_stays_two),
		cmocka_unit_test(test_flame_tree__cut_stacks_stand_under_a_marker),
		cmocka_unit_test(test_flame_tree__markers_are_the_names_of_the_stops),
		cmocka_unit_test(test_flame_tree__processes_are_the_first_level_in_order),
		cmocka_unit_test(test_flame_tree__thread_filter_matches_process_or_thread),
		cmocka_unit_test(test_flame_tree__no_samples_is_an_error_with_a_message),
		cmocka_unit_test(test_flame_tree__foreign_negative_values_are_left_out_and_counted),
		cmocka_unit_test(test_flame_tree__a_sum_beyond_the_range_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
