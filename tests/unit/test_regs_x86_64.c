#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/regs.h"

#include <signal.h>
#include <string.h>
#include <sys/ucontext.h>
#include <ucontext.h>

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

static uint8_t frame_bytes[2048];
static ucontext_t seen;
static uint64_t frame_avma;

static void look(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	memcpy(&seen, context, 304); /* the kernel's is shorter than the C library's */
	memcpy(frame_bytes, context, sizeof(frame_bytes));
	frame_avma = (uintptr_t)context;
}

static void test_regs_x86_64__a_signals_frame_has_what_it_interrupted(void **state)
{
	(void)state;
	static const struct {
		int greg, dwarf;
	} order[] = {{REG_RAX, 0},  {REG_RDX, 1},  {REG_RCX, 2},  {REG_RBX, 3},  {REG_RSI, 4},
		     {REG_RDI, 5},  {REG_RBP, 6},  {REG_RSP, 7},  {REG_R8, 8},   {REG_R9, 9},
		     {REG_R10, 10}, {REG_R11, 11}, {REG_R12, 12}, {REG_R13, 13}, {REG_R14, 14},
		     {REG_R15, 15}, {REG_RIP, 16}};
	struct sigaction action = {.sa_flags = SA_SIGINFO}, old;
	struct unwind_regs regs;
	volatile uint8_t room[4096]; /* the frame is below, and more than it is copied */
	room[0] = 1;
	action.sa_sigaction = look;
	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	sigaction(SIGUSR1, &old, NULL);
	const size_t n =
		unwind_regs_from_signal(&regs, frame_avma, frame_bytes, sizeof(frame_bytes));
	for (size_t i = 0; i < UNWIND_REGS_MAX; i++)
		assert_int_equal(regs.r[order[i].dwarf],
				 (uint64_t)seen.uc_mcontext.gregs[order[i].greg]);
	/* up to the end of what the kernel's FXSAVE area holds */
	assert_int_equal(n, (uintptr_t)seen.uc_mcontext.fpregs + 512 - frame_avma);
	assert_int_equal(unwind_regs_from_signal(&regs, frame_avma, frame_bytes, n - 1),
			 304 + sizeof(siginfo_t));
	assert_int_equal(unwind_regs_from_signal(&regs, frame_avma, frame_bytes,
						 304 + sizeof(siginfo_t) - 1),
			 0);
	assert_int_equal(room[0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs_x86_64__perf_gives_all_general_registers),
		cmocka_unit_test(test_regs_x86_64__perf_order_becomes_dwarf_order),
		cmocka_unit_test(test_regs_x86_64__set_and_get),
		cmocka_unit_test(test_regs_x86_64__a_signals_frame_has_what_it_interrupted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
