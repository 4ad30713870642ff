#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/regs.h"

static void test_regs_x86_64__perf_gives_all_general_registers(void **state)
{
	(void)state;
	/* bits of enum perf_event_x86_regs: ax bx cx dx si di bp sp ip = 0-8, r8-r15 = 16-23 */
	assert_int_equal(unwind_regs_perf_mask(), 0xff01ff);
}

static void test_regs_x86_64__perf_order_becomes_dwarf_order(void **state)
{
	(void)state;
	/* ax bx cx dx si di bp sp ip r8 ... r15 */
	const uint64_t values[UNWIND_REGS_MAX] = {0xa,   0xb,   0xc,   0xd,   0x51, 0xd1,
						  0xb9,  0x59,  0x19,  0x80,  0x90, 0x100,
						  0x110, 0x120, 0x130, 0x140, 0x150};
	struct unwind_regs regs;
	unwind_regs_from_perf(&regs, values, UNWIND_REGS_MAX);
	/* psABI figure 3.36: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 return address */
	const uint64_t dwarf[UNWIND_REGS_MAX] = {0xa,   0xd,   0xc,   0xb,   0x51,  0xd1,
						 0xb9,  0x59,  0x80,  0x90,  0x100, 0x110,
						 0x120, 0x130, 0x140, 0x150, 0x19};
	for (unsigned i = 0; i < UNWIND_REGS_MAX; i++)
		assert_int_equal(regs.r[i], dwarf[i]);
	assert_int_equal(unwind_regs_pc(&regs), 0x19);
	assert_int_equal(unwind_regs_sp(&regs), 0x59);
	assert_int_equal(unwind_regs_fp(&regs), 0xb9);
}

static void test_regs_x86_64__set_and_get(void **state)
{
	(void)state;
	struct unwind_regs regs = {{0}};
	unwind_regs_set_pc(&regs, 1);
	unwind_regs_set_sp(&regs, 2);
	unwind_regs_set_fp(&regs, 3);
	assert_int_equal(unwind_regs_pc(&regs), 1);
	assert_int_equal(unwind_regs_sp(&regs), 2);
	assert_int_equal(unwind_regs_fp(&regs), 3);
	assert_int_equal(unwind_regs_fp_bit(), 1 << 6);
	assert_int_equal(regs.r[6], 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs_x86_64__perf_gives_all_general_registers),
		cmocka_unit_test(test_regs_x86_64__perf_order_becomes_dwarf_order),
		cmocka_unit_test(test_regs_x86_64__set_and_get),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
