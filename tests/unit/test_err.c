#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

#include <errno.h>
#include <string.h>

static void test_err__fail_writes_message_and_hands_code_through(void **state)
{
	(void)state;
	struct cp_err err = {""};
	errno = EBUSY;
	assert_int_equal(cp_fail(&err, -ENOENT, "%s: line %d", "a.c", 7), -ENOENT);
	assert_string_equal(err.message, "a.c: line 7");
	assert_int_equal(errno, EBUSY);
}

static void test_err__no_error_struct_is_accepted(void **state)
{
	(void)state;
	assert_int_equal(cp_fail(NULL, -EIO, "unseen"), -EIO);
	assert_int_equal(cp_fail_prefix(NULL, -EIO, "unseen"), -EIO);
	assert_int_equal(cp_fail_nomem(NULL), -ENOMEM);
}

static void test_err__prefix_goes_in_front(void **state)
{
	(void)state;
	struct cp_err err;
	cp_fail(&err, -EIO, "read: broken");
	assert_int_equal(cp_fail_prefix(&err, -EIO, "cannot load %s", "x.gz"), -EIO);
	assert_string_equal(err.message, "cannot load x.gz: read: broken");
}

static void test_err__messages_are_cut_at_the_limit(void **state)
{
	(void)state;
	char text[3 * CP_ERR_MAX];
	memset(text, 'm', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	struct cp_err err;
	cp_fail(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.message), CP_ERR_MAX - 1);

	/* a long message keeps the beginning of both parts */
	cp_fail_prefix(&err, -EIO, "front");
	assert_int_equal(strlen(err.message), CP_ERR_MAX - 1);
	assert_memory_equal(err.message, "front: mmm", 10);

	/* a prefix that fills the room leaves none for what follows, and no overflow */
	cp_fail(&err, -EIO, "inner");
	cp_fail_prefix(&err, -EIO, "%s", text);
	assert_true(strlen(err.message) < CP_ERR_MAX);
	assert_memory_equal(err.message, "mmmm", 4);
}

static void test_err__out_of_memory_says_so(void **state)
{
	(void)state;
	struct cp_err err;
	assert_int_equal(cp_fail_nomem(&err), -ENOMEM);
	assert_string_equal(err.message, "out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err__fail_writes_message_and_hands_code_through),
		cmocka_unit_test(test_err__no_error_struct_is_accepted),
		cmocka_unit_test(test_err__prefix_goes_in_front),
		cmocka_unit_test(test_err__messages_are_cut_at_the_limit),
		cmocka_unit_test(test_err__out_of_memory_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
