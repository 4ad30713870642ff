#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/remote/cfi_check.h"

#define CHECK(...)                                                                                 \
	cfi_check(cfi_reader_make((const uint8_t[]){__VA_ARGS__},                                  \
				  sizeof((const uint8_t[]){__VA_ARGS__}), 0))

static void test_cfi_check__what_compilers_emit(void **state)
{
	(void)state;
	assert_true(cfi_check(cfi_reader_make(NULL, 0, 0)));
	assert_true(CHECK(0, 0, 0));
	/* def_cfa r7, 8; offset r16, 1 */
	assert_true(CHECK(0x0c, 7, 8, 0x90, 1));
	/* advance 1, 2 and 4 bytes wide; def_cfa_offset 16; offset r6, 2; def_cfa_register r6 */
	assert_true(CHECK(0x41, 0x02, 5, 0x03, 1, 2, 0x04, 1, 2, 3, 4, 0x0e, 16, 0x86, 2, 0x0d, 6));
	/* remember; restore r6; def_cfa r7, 8; restore */
	assert_true(CHECK(0x0a, 0xc6, 0x0c, 7, 8, 0x0b));
	/* undefined r16, same_value r3, GNU_args_size 32 */
	assert_true(CHECK(0x07, 16, 0x08, 3, 0x2e, 32));
	/* the PLT's CFA: breg7 8, breg16 0, lit15, and, lit11, ge, lit3, shl, plus */
	assert_true(CHECK(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22));
	/* a signal frame's: def_cfa_expression breg7 160, deref; expression r8 breg7 40 */
	assert_true(CHECK(0x0f, 4, 0x77, 0xa0, 1, 6, 0x10, 8, 2, 0x77, 40));
	/* val_expression r7: breg7 8 */
	assert_true(CHECK(0x16, 7, 2, 0x77, 8));
}

static void test_cfi_check__instructions_that_end_early(void **state)
{
	(void)state;
	static const uint8_t whole[] = {0x0c, 7, 8, 0x04, 1, 2, 3, 4, 0x0f, 3, 0x77, 0x88, 1};
	static const size_t ends[] = {0, 3, 8, 13};
	size_t at = 0;
	for (size_t n = 0; n <= sizeof(whole); n++) {
		const bool is_end = n == ends[at];
		assert_int_equal(cfi_check(cfi_reader_make(whole, n, 0)), is_end);
		at += is_end;
	}
}

static void test_cfi_check__registers_that_do_not_exist(void **state)
{
	(void)state;
	assert_true(CHECK(0x90, 1));
	assert_false(CHECK(0x91, 1));
	assert_false(CHECK(0xd1));
	assert_false(CHECK(0x05, 17, 1));
	assert_false(CHECK(0x06, 17));
	assert_false(CHECK(0x07, 17));
	assert_true(CHECK(0x09, 3, 16));
	assert_false(CHECK(0x09, 17, 3));
	assert_false(CHECK(0x09, 3, 17)); /* libunwind indexes with this one unchecked */
	assert_false(CHECK(0x09, 3, 0xff, 0xff, 0xff, 0x7f));
	assert_false(CHECK(0x0c, 17, 8));
	assert_false(CHECK(0x0d, 17));
	assert_false(CHECK(0x10, 17, 1, 0x30));
}

static void test_cfi_check__instructions_nobody_emits(void **state)
{
	(void)state;
	assert_false(CHECK(0x01, 0, 0, 0, 0, 0, 0, 0, 0)); /* set_loc */
	assert_false(CHECK(0x1d, 0, 0, 0, 0, 0, 0, 0, 0)); /* MIPS_advance_loc8 */
	assert_false(CHECK(0x2d));                         /* GNU_window_save */
	assert_false(CHECK(0x3f));
	assert_false(CHECK(0x0b)); /* restore without remember */
	assert_false(CHECK(0x0a, 0x0b, 0x0b));
	uint8_t many[64];
	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = 0x0a;
	assert_true(cfi_check(cfi_reader_make(many, 32, 0)));
	assert_false(cfi_check(cfi_reader_make(many, 33, 0)));
}

static void test_cfi_check__expressions_that_could_hang_or_trap(void **state)
{
	(void)state;
	assert_false(CHECK(0x0f, 3, 0x2f, 0xfd, 0xff));       /* skip back */
	assert_false(CHECK(0x0f, 4, 0x31, 0x28, 0xfc, 0xff)); /* bra back */
	assert_false(CHECK(0x0f, 3, 0x31, 0x31, 0x1b));       /* div */
	assert_false(CHECK(0x0f, 1, 0x57));                   /* reg7 */
	assert_false(CHECK(0x0f, 2, 0x81, 0));                /* breg17 */
	assert_false(CHECK(0x0f, 0));                         /* empty */
	assert_false(CHECK(0x0f, 3, 0x77, 8));                /* longer than the program */
	assert_false(CHECK(0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x30));
	assert_false(CHECK(0x0f, 1, 0x77, 8));    /* operand outside the block */
	assert_false(CHECK(0x0f, 2, 0x30, 0x0e)); /* likewise */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cfi_check__what_compilers_emit),
		cmocka_unit_test(test_cfi_check__instructions_that_end_early),
		cmocka_unit_test(test_cfi_check__registers_that_do_not_exist),
		cmocka_unit_test(test_cfi_check__instructions_nobody_emits),
		cmocka_unit_test(test_cfi_check__expressions_that_could_hang_or_trap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
