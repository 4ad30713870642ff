#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/favour.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

static void test_favour__before_all_others_for_as_long_as_is_asked(void **state)
{
	(void)state;
	struct favour favour = {0};
	favour_ask(&favour);
	assert_int_equal(policy(), SCHED_OTHER);
	for (int i = 0; i < 3; i++) {
		favour_go_first(&favour, true);
		/* without the right to it, nothing is missed */
		assert_int_equal(policy(), favour.refused ? SCHED_OTHER : SCHED_FIFO);
		assert_int_equal(favour.first, !favour.refused);
		favour_go_first(&favour, false);
		assert_int_equal(policy(), SCHED_OTHER);
		assert_false(favour.first);
	}
}

static void test_favour__what_was_not_asked_for_is_not_taken(void **state)
{
	(void)state;
	struct favour favour = {0};
	favour_go_first(&favour, true);
	assert_int_equal(policy(), SCHED_OTHER);
	assert_false(favour.first);
}

static void test_favour__children_do_not_inherit_it(void **state)
{
	(void)state;
	struct favour favour = {0};
	int status;
	favour_ask(&favour);
	favour_go_first(&favour, true);
	const pid_t child = fork();
	if (child == 0)
		_exit(policy() == SCHED_OTHER ? 0 : 1);
	favour_go_first(&favour, false);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_favour__what_was_not_asked_for_is_not_taken),
		cmocka_unit_test(test_favour__before_all_others_for_as_long_as_is_asked),
		cmocka_unit_test(test_favour__children_do_not_inherit_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
