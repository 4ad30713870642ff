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
	module_id app = build_module(profile, "/bin/app", false);
	module_id lib = build_module(profile, "/lib/lib.so", false);
	module_id rare = build_module(profile, "/lib/rare.so", false);
	module_id unused = build_module(profile, "/lib/unused.so", false);
	location_id in_app = build_bare(profile, app), in_app_too = build_bare(profile, app);
	/* leaf first; the app is on all stacks, on some of them twice */
	BUILD_SAMPLES(profile, thread, 700, build_bare(profile, lib), in_app);
	BUILD_SAMPLES(profile, thread, 297, in_app, in_app_too);
	BUILD_SAMPLES(profile, thread, 3, build_bare(profile, rare), in_app_too);
	double *shares;
	assert_int_equal(module_shares_compute(profile, &shares), 0);
	assert_float_equal(shares[app.v], 100, 1e-9);
	assert_float_equal(shares[lib.v], 70, 1e-9);
	assert_float_equal(shares[rare.v], 0.3, 1e-9);
	assert_float_equal(shares[unused.v], 0, 1e-9);
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
