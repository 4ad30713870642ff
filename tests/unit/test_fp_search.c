/*
 * Walks of the running thread with rbp withheld, against those with it: by frames.c and chain.c,
 * compiled with and without frame pointers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/stack_capture.h"
#include "unwind/fp_search.h"
#include "unwind_fixtures/frames.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
	struct image_store *store;
	struct address_space *space;
	struct unwinder *unwinder;
	struct fp_search search;
	struct stack_capture capture;
	uint64_t pcs[2][UNWIND_MAX_FRAMES], sps[2][UNWIND_MAX_FRAMES];
	struct unwind_result whole, cut; /* with rbp and without */
	unsigned cuts, found;
};

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	if (image_store_create(&f.store) || address_space_create(f.store, getpid(), &f.space) ||
	    address_space_read_proc(f.space, NULL) || unwinder_create(f.space, &f.unwinder))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fp_search_deinit(&f.search);
	stack_capture_free(&f.capture);
	unwinder_destroy(f.unwinder);
	address_space_destroy(f.space);
	image_store_destroy(f.store);
	return 0;
}

void frames_record(const void *return_address)
{
	(void)return_address;
}

static uint32_t known_without_fp(void)
{
	return unwind_regs_walk_bits() & ~unwind_regs_fp_bit();
}

/* What was walked without rbp is the inner part of what was walked with it. */
static void compare(void)
{
	f.whole =
		(struct unwind_result){.pcs = f.pcs[0], .sps = f.sps[0], .cap = UNWIND_MAX_FRAMES};
	f.cut = (struct unwind_result){.pcs = f.pcs[1], .sps = f.sps[1], .cap = UNWIND_MAX_FRAMES};
	struct unwind_regs without = f.capture.regs;
	unwind_regs_set_fp(&without, 0x1234567812345678);
	unwinder_walk(f.unwinder, &f.capture.regs, &f.capture.stack, &f.whole);
	unwinder_walk_known(f.unwinder, &without, known_without_fp(), &f.capture.stack, &f.cut);
	assert_int_equal(f.whole.stop, CP_STOP_END);
	assert_true(f.cut.n <= f.whole.n);
	assert_memory_equal(f.pcs[0], f.pcs[1], f.cut.n * sizeof(uint64_t));
	assert_memory_equal(f.sps[0], f.sps[1], f.cut.n * sizeof(uint64_t));
	if (!f.cut.needs_fp) {
		assert_int_equal(f.cut.stop, CP_STOP_END);
		assert_int_equal(f.cut.n, f.whole.n);
		return;
	}
	assert_int_equal(f.cut.stop, CP_STOP_TRUNCATED);
	const struct fp_search_thread thread = {f.space, f.unwinder, &without, known_without_fp(),
						&f.capture.stack};
	uint64_t fp = 0;
	f.cuts++;
	if (fp_search_run(&f.search, &thread, &f.cut, &fp)) {
		f.found++;
		assert_int_equal(fp, unwind_regs_fp(&f.capture.regs));
	}
}

/* As a wrapper of a system call: it leaves rbp alone, and is called by what is looked at. */
void take(void);
extern const char take_pc[];
void taken(uint64_t sp, uint64_t fp);
__asm__(".text\n.type take, @function\ntake:\n.cfi_startproc\n"
	"sub $8, %rsp\n.cfi_adjust_cfa_offset 8\n"
	"mov %rsp, %rdi\nmov %rbp, %rsi\n"
	"take_pc: call taken\n"
	"add $8, %rsp\n.cfi_adjust_cfa_offset -8\n"
	"ret\n.cfi_endproc\n.size take, . - take\n");

void taken(uint64_t sp, uint64_t fp)
{
	stack_capture_free(&f.capture);
	stack_capture_take(&f.capture);
	const uint64_t inner = sp - f.capture.stack.sp;
	unwind_regs_set_sp(&f.capture.regs, sp);
	unwind_regs_set_fp(&f.capture.regs, fp);
	unwind_regs_set_pc(&f.capture.regs, (uint64_t)(uintptr_t)take_pc);
	f.capture.stack.sp = sp;
	f.capture.stack.bytes += inner;
	f.capture.stack.n_bytes -= inner;
	compare();
}

static void test_fp_search__unoptimised_code_is_found_throughout(void **state)
{
	(void)state;
	for (int depth = 0; depth < 30; depth++)
		chain_O0(depth, take);
	assert_true(f.cuts > 0);
	assert_int_equal(f.found, f.cuts);
}

static void test_fp_search__frame_pointers_in_optimised_code(void **state)
{
	(void)state;
	for (int depth = 0; depth < 30; depth++)
		chain_O2_fp(depth, take);
	assert_true(f.cuts > 0);
	assert_true(f.found >= f.cuts * 95 / 100);
}

/* Where rbp is only where it is needed (alloca, realigned stacks): what is found is right. */
static void test_fp_search__mixed_code_is_never_wrong(void **state)
{
	(void)state;
	void (*const chains[])(int, frames_callback *) = {chain_O2, chain_Os, chain_O3};
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
		for (int depth = 0; depth < 30; depth++)
			chains[i](depth, take);
}

static void nothing(void)
{
}

static void test_fp_search__alloca_over_left_over_frames(void **state)
{
	(void)state;
	for (size_t n = 16; n < 20000; n = n * 5 / 4) {
		/* deeper calls than the one below, which leave their frames in what it allocates */
		chain_O0(20, nothing);
		frames_alloca(n, take);
	}
	assert_true(f.cuts > 20);
	assert_true(f.found >= f.cuts * 95 / 100);
}

/*
 * What the function has called before, through a pointer, has left its return address where the
 * frame would begin if nothing had been allocated: n is just larger than it was.
 */
static void test_fp_search__its_own_earlier_calls_are_no_callers(void **state)
{
	(void)state;
	for (size_t n = 16; n < 1024; n += 16) {
		for (size_t before = 16; before < n; before += 16)
			frames_alloca(before, nothing);
		frames_alloca(n, take);
	}
	assert_true(f.found >= f.cuts * 95 / 100);
}

/* What earlier calls have left below is gone. */
static __attribute__((noinline)) void clean_stack(void)
{
	volatile char bytes[64 << 10];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
}

/*
 * Made for being mistaken: a call of the same function is left on the stack, complete in all that
 * can be checked, below the real one.
 */
static void test_fp_search__a_perfect_imitation_is_no_answer(void **state)
{
	(void)state;
	clean_stack();
	frames_alloca_twice(4096, take);
	assert_int_equal(f.cuts, 1);
	assert_int_equal(f.found, 1);
	/* the place of the real pair, put once more into what the function has allocated */
	const uint64_t fp = unwind_regs_fp(&f.capture.regs);
	const uint64_t sp = f.capture.stack.sp;
	const uint64_t imitation = (sp + 2048) / 16 * 16;
	assert_true(imitation + 16 < fp);
	uint8_t *bytes = (uint8_t *)f.capture.stack.bytes;
	memcpy(bytes + (imitation - sp), bytes + (fp - sp), 16);
	f.cuts = f.found = 0;
	compare();
	assert_int_equal(f.cuts, 1);
	assert_int_equal(f.found, 0);
}

/* Where the stack is cut before its root, nothing proves anything. */
static void test_fp_search__without_the_root_nothing_is_believed(void **state)
{
	(void)state;
	chain_O0(10, take);
	f.capture.stack.n_bytes = 512;
	f.cut = (struct unwind_result){.pcs = f.pcs[1], .sps = f.sps[1], .cap = UNWIND_MAX_FRAMES};
	unwinder_walk_known(f.unwinder, &f.capture.regs, known_without_fp(), &f.capture.stack,
			    &f.cut);
	const struct fp_search_thread thread = {f.space, f.unwinder, &f.capture.regs,
						known_without_fp(), &f.capture.stack};
	uint64_t fp;
	assert_int_equal(f.cut.stop, CP_STOP_TRUNCATED);
	assert_false(fp_search_run(&f.search, &thread, &f.cut, &fp));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_fp_search__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unoptimised_code_is_found_throughout),
		TEST(frame_pointers_in_optimised_code),
		TEST(mixed_code_is_never_wrong),
		TEST(alloca_over_left_over_frames),
		TEST(its_own_earlier_calls_are_no_callers),
		TEST(a_perfect_imitation_is_no_answer),
		TEST(without_the_root_nothing_is_believed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
