#include "symbolizer/module_shares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/profile_builder.h"

static void test_module_shares__samples_with_any_frame_in_the_module(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	thread_id thread = build_thread(profile, 1, 1, "t", "t");
	enum { APP, LIB, RARE, UNUSED, N };
	static const char *const paths[N] = {"/bin/app", "/lib/lib.so", "/lib/rare.so",
					     "/lib/unused.so"};
	static const double expected[N] = {[APP] = 100, [LIB] = 70, [RARE] = 0.3};
	module_id modules[N];
	for (size_t i = 0; i < N; i++)
		modules[i] = build_module(profile, paths[i], false);
	location_id in_app = build_bare(profile, modules[APP]);
	location_id in_app_too = build_bare(profile, modules[APP]);
	/* leaf first; the app is on all stacks, on some of them twice */
	BUILD_SAMPLES(profile, thread, 700, build_bare(profile, modules[LIB]), in_app);
	BUILD_SAMPLES(profile, thread, 297, in_app, in_app_too);
	BUILD_SAMPLES(profile, thread, 3, build_bare(profile, modules[RARE]), in_app_too);
	double *shares;
	assert_int_equal(module_shares_compute(profile, &shares), 0);
	for (size_t i = 0; i < N; i++)
		assert_float_equal(shares[modules[i].v], expected[i], 1e-9);
	free(shares);
	profile_destroy(profile);
}

static void test_module_shares__without_samples_all_matter(void **state)
{
	(void)state;
	struct profile *profile = build_profile();
	module_id app = build_module(profile, "/bin/app", false);
	double *shares;
	assert_int_equal(module_shares_compute(profile, &shares), 0);
	assert_float_equal(shares[app.v], 100, 1e-9);
	free(shares);
	profile_destroy(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module_shares__samples_with_any_frame_in_the_module),
		cmocka_unit_test(test_module_shares__without_samples_all_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
