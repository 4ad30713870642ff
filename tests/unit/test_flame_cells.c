#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output/flame_cells.h"

#include "../support/profile_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct flame_cells *build_cells(const struct profile *profile, double width_px,
				       double min_px, size_t budget_bytes)
{
	struct flame_tree *tree;
	struct flame_cells *cells;
	struct flame_cells_options options = {
		.width_px = width_px,
		.min_px = min_px,
		.min_drawn_px = 2 * min_px,
		.budget_bytes = budget_bytes,
	};
	assert_int_equal(flame_tree_create(profile, NULL, &tree, NULL), 0);
	assert_int_equal(flame_cells_create(tree, &options, &cells), 0);
	flame_tree_destroy(tree);
	return cells;
}

static const char *name_of(const struct flame_cells *cells, size_t i)
{
	if (cells->cells[i].entry == FLAME_NONE)
		return "(merged)";
	return interner_get(&cells->entries.strings,
			    cells->entries.entries[cells->cells[i].entry].name);
}

static void assert_cell(const struct flame_cells *cells, size_t i, const char *name, uint32_t depth,
			int64_t start, int64_t total)
{
	assert_true(i < cells->n);
	assert_string_equal(name_of(cells, i), name);
	assert_int_equal(cells->cells[i].depth, depth);
	assert_int_equal(cells->cells[i].start, start);
	assert_int_equal(cells->cells[i].total, total);
}

/* 1,000 samples: `main` with a 500 | b 9 (5 of it through c) | d 480 (e 6, self 474) | self 11. */
static struct profile *thousand(void)
{
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	location_id main_at = build_at(profile, exe, "main", "m.c", 4);
	location_id a = build_at(profile, exe, "a", "m.c", 10);
	location_id b = build_at(profile, exe, "b", "m.c", 20);
	location_id c = build_at(profile, exe, "c", "m.c", 30);
	location_id d = build_at(profile, exe, "d", "m.c", 40);
	location_id e = build_at(profile, exe, "e", "m.c", 50);
	BUILD_SAMPLES(profile, thread, 500, a, main_at);
	BUILD_SAMPLES(profile, thread, 4, b, main_at);
	BUILD_SAMPLES(profile, thread, 5, c, b, main_at);
	BUILD_SAMPLES(profile, thread, 474, d, main_at);
	BUILD_SAMPLES(profile, thread, 6, e, d, main_at);
	BUILD_SAMPLES(profile, thread, 11, main_at);
	return profile;
}

static void test_flame_cells__all_fit_when_wide_enough(void **state)
{
	(void)state;
	struct profile *profile = thousand();
	struct flame_cells *cells = build_cells(profile, 1000, 0.1, 100000);
	assert_int_equal(cells->n, 8);
	assert_cell(cells, 0, "all", 0, 0, 1000);
	assert_cell(cells, 1, "app", 1, 0, 1000);
	assert_cell(cells, 2, "main", 2, 0, 1000);
	assert_cell(cells, 3, "a", 3, 0, 500);
	assert_cell(cells, 4, "b", 3, 500, 9);
	assert_cell(cells, 5, "c", 4, 500, 5);
	assert_cell(cells, 6, "d", 3, 509, 480);
	assert_cell(cells, 7, "e", 4, 509, 6);
	assert_int_equal(cells->cells[6].line, 40);
	assert_int_equal(cells->merged_frames, 0);
	assert_int_equal(cells->max_depth, 4);
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

static void test_flame_cells__narrow_frames_are_merged_per_parent_and_counted(void **state)
{
	(void)state;
	struct profile *profile = thousand();
	/* 100 px for 1,000 samples: 1 px is 10 samples */
	struct flame_cells *cells = build_cells(profile, 100, 1, 100000);
	assert_int_equal(cells->n, 7);
	assert_cell(cells, 3, "a", 3, 0, 500);
	assert_cell(cells, 4, "d", 3, 500, 480);
	assert_cell(cells, 5, "(merged)", 4, 500, 6);
	assert_cell(cells, 6, "(merged)", 3, 980, 9);
	assert_int_equal(cells->cells[5].frames, 1); /* e */
	assert_int_equal(cells->cells[6].frames, 2); /* b and c */
	assert_int_equal(cells->merged_frames, 3);
	assert_int_equal(cells->merged_samples, 15);
	assert_float_equal(cells->merged_px, 1, 1e-9);
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

static void test_flame_cells__frame_of_exactly_the_limit_stays(void **state)
{
	(void)state;
	struct profile *profile = thousand();
	struct flame_cells *cells = build_cells(profile, 1000, 9, 100000);
	assert_cell(cells, 4, "b", 3, 500, 9);
	assert_cell(cells, 5, "(merged)", 4, 500, 5);
	flame_cells_destroy(cells);
	cells = build_cells(profile, 1000, 9.01, 100000);
	assert_cell(cells, 4, "d", 3, 500, 480);
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

static void test_flame_cells__only_what_can_be_seen_is_drawn(void **state)
{
	(void)state;
	struct profile *profile = thousand();
	/* drawn from 8 px on */
	struct flame_cells *cells = build_cells(profile, 1000, 4, 100000);
	assert_true(cells->cells[4].drawn);  /* b, 9 px */
	assert_false(cells->cells[5].drawn); /* c, 5 px */
	assert_int_equal(cells->max_drawn_depth, 3);
	assert_int_equal(cells->max_depth, 4);
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

/* A wide and deep tree of @n stacks with names of @name_bytes. */
static struct profile *large(unsigned n, size_t name_bytes, unsigned depth)
{
	struct profile *profile = build_profile();
	module_id exe = build_module(profile, "/bin/app", true);
	thread_id thread = build_thread(profile, 1, 1, "app", "app");
	char *name = malloc(name_bytes + 16);
	uint32_t random = 7;
	location_id stack[64];
	location_id functions[200];
	assert_non_null(name);
	for (unsigned i = 0; i < 200; i++) {
		int length = snprintf(name, 16, "%u", i);
		memset(name + length, '<', name_bytes);
		name[(size_t)length + name_bytes] = '\0';
		functions[i] = build_at(profile, exe, name, "f.c", i);
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned d = 0; d < depth; d++) {
			random = random * 1664525 + 1013904223;
			stack[d] = functions[(random >> 16) % (d == depth - 1 ? 3 : 200)];
		}
		build_stopped(profile, thread, CP_STOP_END, 1 + i % 50, stack, depth);
	}
	free(name);
	return profile;
}

/* Children lie inside their parent, side by side, and nothing but self is without a cell. */
static void assert_consistent(const struct flame_cells *cells)
{
	int64_t ends[128] = {0}, filled[128] = {0};
	int64_t merged = 0;
	uint64_t frames = 0;
	uint32_t depth_before = 0;
	for (size_t i = 0; i < cells->n; i++) {
		const struct flame_cell *cell = &cells->cells[i];
		uint32_t d = cell->depth;
		assert_true(d < 127 && cell->total > 0);
		assert_true(i == 0 ? d == 0 : d >= 1 && d <= depth_before + 1);
		if (d > 0) {
			assert_int_equal(cell->start, filled[d - 1]);
			filled[d - 1] += cell->total;
			assert_true(filled[d - 1] <= ends[d - 1]);
		}
		ends[d] = cell->start + cell->total;
		filled[d] = cell->start;
		depth_before = d;
		if (cell->entry == FLAME_NONE) {
			merged += cell->total;
			frames += cell->frames;
			ends[d] = cell->start; /* it has no children */
		}
	}
	assert_int_equal(merged, cells->merged_samples);
	assert_int_equal(frames, cells->merged_frames);
}

static void test_flame_cells__a_small_budget_keeps_the_widest(void **state)
{
	(void)state;
	struct profile *profile = large(5000, 10, 12);
	size_t before = 0;
	double px_before = 1e9;
	static const size_t budgets[] = {2000, 20000, 200000, 2000000};
	for (size_t i = 0; i < 4; i++) {
		struct flame_cells *cells = build_cells(profile, 1180, 0.001, budgets[i]);
		assert_consistent(cells);
		assert_true(cells->n > before);
		assert_true(cells->merged_px <= px_before);
		before = cells->n;
		px_before = cells->merged_px;
		if (i < 3)
			assert_true(cells->merged_frames > 0);
		else
			assert_int_equal(cells->merged_frames, 0);
		flame_cells_destroy(cells);
	}
	profile_destroy(profile);
}

static void test_flame_cells__long_names_are_cut_before_wide_frames_are_merged(void **state)
{
	(void)state;
	struct profile *profile = large(300, 3000, 4);
	/* 200 names of 2,000 '<' cost 6 bytes a character: 2.4 MB; of 120: 144 kB */
	struct flame_cells *cells = build_cells(profile, 1180, 0.1, 500000);
	assert_consistent(cells);
	assert_true(cells->merged_px <= 0.5);
	for (size_t i = 2; i < cells->n; i++) {
		if (cells->cells[i].entry != FLAME_NONE)
			assert_int_equal(strlen(name_of(cells, i)), 119 + strlen("\xe2\x80\xa6"));
	}
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

static void test_flame_cells__the_root_stays_without_any_budget(void **state)
{
	(void)state;
	struct profile *profile = thousand();
	struct flame_cells *cells = build_cells(profile, 1180, 0.1, 1);
	assert_int_equal(cells->n, 2);
	assert_cell(cells, 0, "all", 0, 0, 1000);
	assert_cell(cells, 1, "(merged)", 1, 0, 1000);
	assert_int_equal(cells->merged_frames, 7);
	flame_cells_destroy(cells);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flame_cells__all_fit_when_wide_enough),
		cmocka_unit_test(test_flame_cells__narrow_frames_are_merged_per_parent_and_counted),
		cmocka_unit_test(test_flame_cells__frame_of_exactly_the_limit_stays),
		cmocka_unit_test(test_flame_cells__only_what_can_be_seen_is_drawn),
		cmocka_unit_test(test_flame_cells__a_small_budget_keeps_the_widest),
		cmocka_unit_test(
			test_flame_cells__long_names_are_cut_before_wide_frames_are_merged),
		cmocka_unit_test(test_flame_cells__the_root_stays_without_any_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
