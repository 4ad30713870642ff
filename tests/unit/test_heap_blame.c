#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/profile_builder.h"
#include "output/heap_blame.h"

#include <stdlib.h>

static void test_heap_blame__allocators_and_their_wrappers(void **state)
{
	(void)state;
	static const char *const yes[] = {
		"malloc",
		"__libc_malloc",
		"calloc",
		"xmalloc",
		"x_malloc",
		"g_malloc0",
		"je_calloc",
		"zmalloc_usable",
		"ztrymalloc_usable_internal",
		"operator new(unsigned long)",
		"operator new[](unsigned long, std::align_val_t)",
		"strdup",
		"__strdup",
		"g_strdup",
		"xasprintf",
		"PyMem_RawMalloc",
		"sqlite3Malloc",
		"__rust_alloc",
		"malloc@plt",
		"xrealloc(void*, unsigned long)",
		"ngx_palloc",
		"posix_memalign",
	};
	static const char *const no[] = {
		"main",
		"leak_malloc",
		"malloc_users",
		"alloc_table",
		"parse",
		"my_server_calloc_leak",
		"leak_strdup",
		"Foo::malloc(int)",
		"operator==(int)",
		"",
		"m",
		"reallocate_table",
		"_",
		"___",
		"callocator",
	};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!heap_blame_is_allocator(yes[i]))
			fail_msg("%s is an allocator", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (heap_blame_is_allocator(no[i]))
			fail_msg("%s is no allocator", no[i]);
}

static void test_heap_blame__standard_libraries(void **state)
{
	(void)state;
	assert_true(
		heap_blame_is_standard("std::vector<int, std::allocator<int> >::push_back(int&&)"));
	assert_true(
		heap_blame_is_standard("void std::vector<A>::_M_realloc_insert<B const&>(int)"));
	assert_true(
		heap_blame_is_standard("__gnu_cxx::new_allocator<int>::allocate(unsigned long)"));
	assert_true(heap_blame_is_standard("alloc::raw_vec::RawVec<T,A>::grow_one"));
	assert_true(heap_blame_is_standard("<alloc::string::String as core::clone::Clone>::clone"));
	assert_false(heap_blame_is_standard("mine::vector<std::string>::push_back(std::string)"));
	assert_false(heap_blame_is_standard("std_of(int)"));
	assert_true(heap_blame_is_library("/lib/x86_64-linux-gnu/libc.so.6"));
	assert_true(heap_blame_is_library("/usr/lib/libstdc++.so.6.0.30"));
	assert_true(heap_blame_is_library("/lib64/ld-linux-x86-64.so.2"));
	assert_false(heap_blame_is_library("/usr/lib/libcurl.so.4"));
	assert_false(heap_blame_is_library("/opt/libc_tools/server"));
}

static void test_heap_blame__the_first_frame_of_ones_own_is_in_charge(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	const module_id exe = build_module(profile, "/usr/bin/server", true);
	const module_id libc = build_module(profile, "/lib/libc.so.6", true);
	const location_id strdup_at = build_at(profile, libc, "__strdup", "strdup.c", 1);
	const location_id wrapper = build_at(profile, exe, "xstrdup", "util.c", 9);
	const struct build_line chain[] = {
		{"std::vector<int>::push_back(int&&)", "/usr/include/c++/12/bits/v.h", 7, 1},
		{"fill(int)", "fill.cc", 30, 20},
	};
	const location_id inlined = build_chain(profile, exe, chain, 2);
	const location_id main_at = build_at(profile, exe, "main", "main.c", 3);
	const location_id stack[] = {strdup_at, wrapper, inlined, main_at};
	stack_id id;
	assert_int_equal(stack_store_intern(&profile->stacks, stack, 4, &id), 0);
	struct frames *frames;
	assert_int_equal(frames_create(profile, &frames), 0);
	struct heap_blame blame;
	assert_int_equal(heap_blame_init(&blame, frames), 0);
	frame_id *array = NULL;
	size_t cap = 0;
	const long n = frames_of_stack(frames, id, &array, &cap);
	assert_int_equal(n, 5);
	const size_t found = heap_blame_find(&blame, array, (size_t)n);
	assert_int_equal(found, 3);
	assert_string_equal(frames_text(frames, frames_get(frames, array[found])->name),
			    "fill(int)");
	/* nobody is in charge of the library's own: the innermost that is no allocator */
	assert_int_equal(heap_blame_find(&blame, array, 1), 0);
	assert_int_equal(heap_blame_find(&blame, array, 3), 2);
	assert_int_equal(heap_blame_find(&blame, array, 0), 0);
	free(array);
	heap_blame_deinit(&blame);
	frames_destroy(frames);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_blame__allocators_and_their_wrappers),
		cmocka_unit_test(test_heap_blame__standard_libraries),
		cmocka_unit_test(test_heap_blame__the_first_frame_of_ones_own_is_in_charge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
