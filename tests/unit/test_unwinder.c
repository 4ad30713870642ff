/*
 * Walks over stacks of this process. What a walk must find is recorded by the functions on the
 * stack themselves: each one knows the address that it returns to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/stack_capture.h"
#include "unwind_fixtures/frames.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

enum { FRAMES_MAX = 4096 };

struct fixture {
	struct image_store *store;
	struct address_space *space;
	struct unwinder *unwinder;
	struct stack_capture capture;
	uint64_t expected[FRAMES_MAX]; /* look-up addresses, outermost first */
	size_t n_expected;
	uint64_t pcs[UNWIND_MAX_FRAMES];
	struct unwind_result result;
};

static struct fixture f;

/* Everything here holds for both engines. */
static enum unwind_engine engine;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.result = (struct unwind_result){.pcs = f.pcs, .cap = UNWIND_MAX_FRAMES};
	if (image_store_create(&f.store) || address_space_create(f.store, getpid(), &f.space) ||
	    address_space_read_proc(f.space, NULL) || unwinder_create(f.space, &f.unwinder))
		return -1;
	unwinder_set_engine(f.unwinder, engine);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stack_capture_free(&f.capture);
	unwinder_destroy(f.unwinder);
	unwinder_destroy(NULL);
	address_space_destroy(f.space);
	image_store_destroy(f.store);
	return 0;
}

void frames_record(const void *return_address)
{
	assert_true(f.n_expected < FRAMES_MAX);
	f.expected[f.n_expected++] = (uint64_t)(uintptr_t)return_address - 1;
}

/* Records its own caller and captures: two frames further in than the last one recorded. */
static __attribute__((noinline)) void take(void)
{
	frames_record(__builtin_return_address(0));
	stack_capture_take(&f.capture);
	__asm__ volatile("" ::: "memory");
}

static void walk(void)
{
	unwinder_walk(f.unwinder, &f.capture.regs, &f.capture.stack, &f.result);
}

/*
 * The frames that were found are: the captures' own, take(), and the recorded ones, of which
 * @n_missing outermost ones may be left out.
 */
static void assert_frames(size_t n_missing)
{
	assert_true(f.result.n >= 2);
	assert_int_equal(f.pcs[0], unwind_regs_pc(&f.capture.regs));
	assert_true(f.n_expected >= n_missing);
	assert_true(f.result.n >= 2 + f.n_expected - n_missing);
	for (size_t i = 0; i < f.n_expected - n_missing; i++)
		assert_int_equal(f.pcs[2 + i], f.expected[f.n_expected - 1 - i]);
}

static void test_unwinder__chains_of_every_kind_of_frame(void **state)
{
	(void)state;
	void (*const chains[])(int, frames_callback *) = {chain_O0, chain_O2, chain_O2_fp, chain_Os,
							  chain_O3};
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		f.n_expected = 0;
		stack_capture_free(&f.capture);
		chains[i](20, take);
		walk();
		/* 20 levels of two functions, the innermost next_link(), the entry, take() */
		assert_int_equal(f.n_expected, 43);
		assert_frames(0);
		assert_int_equal(f.result.stop, CP_STOP_END);
		assert_int_equal(f.result.n_fp_frames, 0);
		assert_int_equal(f.result.by_libunwind, engine == UNWIND_LIBUNWIND);
	}
}

static void test_unwinder__three_hundred_levels(void **state)
{
	(void)state;
	chain_O2(300, take);
	walk();
	assert_int_equal(f.n_expected, 603);
	assert_frames(0);
	assert_int_equal(f.result.stop, CP_STOP_END);
}

static void test_unwinder__too_many_frames_keep_the_leaf_side_and_the_root_side(void **state)
{
	(void)state;
	static uint64_t sps[UNWIND_MAX_FRAMES];
	chain_O2(1500, take);
	f.result.sps = sps;
	walk();
	assert_int_equal(f.result.n, UNWIND_MAX_FRAMES);
	assert_int_equal(f.result.stop, CP_STOP_DEPTH);
	assert_int_equal(f.n_expected, 3003);
	const size_t leaf_side = UNWIND_MAX_FRAMES / 2;
	for (size_t i = 2; i < leaf_side; i++)
		assert_int_equal(f.pcs[i], f.expected[3003 - 1 - (i - 2)]);
	for (size_t i = 1; i < UNWIND_MAX_FRAMES; i++)
		assert_true(sps[i] > sps[i - 1]);
	/* the frames outside of the chain are the test runner's, as a walk from here tells them */
	size_t first = leaf_side;
	while (first < UNWIND_MAX_FRAMES && f.pcs[first] != f.expected[0])
		first++;
	const size_t n_recorded = first - leaf_side + 1;
	assert_true(first < UNWIND_MAX_FRAMES && n_recorded > leaf_side - 100);
	assert_int_equal(2 + 3003, leaf_side + f.result.n_omitted + n_recorded);
}

static void test_unwinder__the_callers_array_limits_the_frames(void **state)
{
	(void)state;
	chain_O2(2, take);
	walk();
	assert_int_equal(f.result.stop, CP_STOP_END);
	const size_t n = f.result.n;
	uint64_t all[64];
	assert_true(n < 64);
	memcpy(all, f.pcs, n * sizeof(all[0]));
	for (f.result.cap = 1; f.result.cap <= n; f.result.cap++) {
		memset(f.pcs, 0, sizeof(f.pcs));
		walk();
		const size_t leaf_side = unwind_leaf_side(f.result.cap);
		const size_t root_side = f.result.cap - leaf_side;
		assert_int_equal(f.result.n, f.result.cap);
		assert_int_equal(f.result.n_omitted, n - f.result.cap);
		assert_int_equal(f.result.stop, f.result.cap < n ? CP_STOP_DEPTH : CP_STOP_END);
		assert_memory_equal(f.pcs, all, leaf_side * sizeof(all[0]));
		assert_memory_equal(f.pcs + leaf_side, all + n - root_side,
				    root_side * sizeof(all[0]));
		assert_int_equal(f.pcs[f.result.cap], 0);
	}
	f.result.cap = 0;
	walk();
	assert_int_equal(f.result.n, 0);
}

/* However many bytes of the stack were copied: right frames, and TRUNCATED if any is missing. */
static void test_unwinder__a_copy_cut_anywhere_gives_right_frames(void **state)
{
	(void)state;
	chain_O0(5, take);
	walk();
	assert_int_equal(f.result.stop, CP_STOP_END);
	const size_t n_all = f.result.n, n_bytes = f.capture.stack.n_bytes;
	uint64_t all[256];
	assert_true(n_all < 256);
	memcpy(all, f.pcs, n_all * sizeof(all[0]));
	size_t n_last = 0;
	f.capture.stack.maybe_more = true;
	for (size_t n = 0; n <= n_bytes; n++) {
		/* of the exact size, for the sanitizer */
		uint8_t *cut = malloc(n + 1);
		assert_non_null(cut);
		memcpy(cut + 1, f.capture.bytes, n);
		f.capture.stack.bytes = cut + 1;
		f.capture.stack.n_bytes = n;
		walk();
		free(cut);
		assert_true(f.result.n >= n_last && f.result.n <= n_all);
		assert_memory_equal(f.pcs, all, f.result.n * sizeof(all[0]));
		assert_int_equal(f.result.stop,
				 f.result.n == n_all ? CP_STOP_END : CP_STOP_TRUNCATED);
		n_last = f.result.n;
	}
	assert_int_equal(n_last, n_all);
}

static void test_unwinder__frames_described_in_assembly(void **state)
{
	(void)state;
	static void (*const functions[])(frames_callback *) = {frames_plain, frames_huge,
							       frames_expression, frames_deref};
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		f.n_expected = 0;
		stack_capture_free(&f.capture);
		functions[i](take);
		walk();
		assert_frames(0);
		/* take(), the function, this test, cmocka's frames ... main, libc's two, _start */
		assert_true(f.result.n >= 8);
		assert_int_equal(f.result.stop, CP_STOP_END);
	}
}

static void call_bare(void)
{
	frames_record(__builtin_return_address(0));
	frames_bare(take);
	__asm__ volatile("" ::: "memory");
}

static void test_unwinder__without_information_by_frame_pointer(void **state)
{
	(void)state;
	chain_O0(3, call_bare);
	walk();
	/* call_bare() recorded its caller; frames_bare() is called by it, from assembly's view */
	const size_t n = f.n_expected;
	assert_int_equal(f.expected[n - 1], (uint64_t)(uintptr_t)frames_bare_ra - 1);
	assert_int_equal(f.pcs[2], f.expected[n - 1]);
	for (size_t i = 0; i + 1 < n; i++)
		assert_int_equal(f.pcs[4 + i], f.expected[n - 2 - i]);
	assert_int_equal(f.result.stop, CP_STOP_END);
	assert_int_equal(f.result.n_fp_frames, 1);
}

static void test_unwinder__without_information_and_frame_pointer_it_ends(void **state)
{
	(void)state;
	frames_bare_no_fp(take);
	walk();
	assert_int_equal(f.result.n, 3);
	assert_int_equal(f.pcs[2], (uint64_t)(uintptr_t)frames_bare_no_fp_ra - 1);
	assert_int_equal(f.result.stop, CP_STOP_NO_CFI);
	assert_int_equal(f.result.n_fp_frames, 0);
}

static void test_unwinder__frame_pointer_beyond_the_copy(void **state)
{
	(void)state;
	struct unwind_regs regs = {{0}};
	unwind_regs_set_pc(&regs, (uint64_t)(uintptr_t)frames_bare_ra);
	unwind_regs_set_sp(&regs, 0x7000);
	unwind_regs_set_fp(&regs, 0x7020);
	static const uint8_t bytes[0x20];
	const struct unwind_stack stack = {0x7000, bytes, sizeof(bytes), true};
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.result.n, 1);
	assert_int_equal(f.result.stop, CP_STOP_TRUNCATED);
}

static void test_unwinder__wrong_information_is_named(void **state)
{
	(void)state;
	static const struct {
		void (*function)(frames_callback *);
		enum cp_stop stop;
	} cases[] = {
		{frames_stuck, CP_STOP_SP_BACKWARDS},
		{frames_division, CP_STOP_UNSUPPORTED},
		{frames_jump, CP_STOP_UNSUPPORTED},
		{frames_bad_register, CP_STOP_UNSUPPORTED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		stack_capture_free(&f.capture);
		cases[i].function(take);
		walk();
		assert_int_equal(f.result.n, 3);
		assert_int_equal(f.pcs[2], f.expected[f.n_expected - 1]);
		assert_int_equal(f.result.stop, cases[i].stop);
	}
}

/* A made-up stack: the innermost frame is at frames_trap, whose return address is at sp. */
static void walk_made_up(const uint64_t *words, size_t n, bool maybe_more)
{
	struct unwind_regs regs = {{0}};
	unwind_regs_set_pc(&regs, (uint64_t)(uintptr_t)frames_trap_pc);
	unwind_regs_set_sp(&regs, 0x10000);
	const struct unwind_stack stack = {0x10000, (const uint8_t *)words, n * 8, maybe_more};
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_true(f.result.n >= 1);
	assert_int_equal(f.pcs[0], (uint64_t)(uintptr_t)frames_trap_pc);
}

static void test_unwinder__return_addresses_that_are_none(void **state)
{
	(void)state;
	static const struct {
		uint64_t ra;
		enum cp_stop stop;
	} cases[] = {
		{0, CP_STOP_END},
		{1, CP_STOP_BAD_RA},
		{0xfff, CP_STOP_BAD_RA},
		{UINT64_MAX, CP_STOP_BAD_RA},
		{0x8000000000000000, CP_STOP_BAD_RA},
		{0xffffffff81000000, CP_STOP_BAD_RA},
		{0x123456789000, CP_STOP_NO_MAP},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		walk_made_up(&cases[i].ra, 1, true);
		assert_int_equal(f.result.n, 1);
		assert_int_equal(f.result.stop, cases[i].stop);
	}
}

/* libunwind's own step takes a lost rbp for the end of the stack. */
static void test_unwinder__a_lost_frame_pointer_is_no_end(void **state)
{
	(void)state;
	/* rbp saved by frames_rbp_undefined(), its return address, rbx saved by frames_plain() */
	const uint64_t words[] = {1, (uint64_t)(uintptr_t)frames_plain_ra, 2, 0};
	const struct unwind_stack stack = {0x10000, (const uint8_t *)words, sizeof(words), true};
	struct unwind_regs regs = {{0}};
	unwind_regs_set_sp(&regs, 0x10000);
	unwind_regs_set_pc(&regs, (uint64_t)(uintptr_t)frames_rbp_undefined + 1);
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.result.n, 2);
	assert_int_equal(f.pcs[1], (uint64_t)(uintptr_t)frames_plain_ra - 1);
	assert_int_equal(f.result.stop, CP_STOP_END);
}

/*
 * In "ret" after "pop %rbp" the tables still say that rbp is saved in its slot, which is below the
 * stack pointer then. The caller needs rbp.
 */
static void test_unwinder__registers_that_an_epilogue_has_restored(void **state)
{
	(void)state;
	/* return address into frames_deref() behind its call, whose CFA is at *(rbp - 8) */
	const uint64_t words[] = {(uint64_t)(uintptr_t)frames_deref_ra, 0, 0, 0x10040, 0, 0, 0, 0};
	const struct unwind_stack stack = {0x10000, (const uint8_t *)words, sizeof(words), true};
	struct unwind_regs regs = {{0}};
	unwind_regs_set_sp(&regs, 0x10000);
	unwind_regs_set_fp(&regs, 0x10020);
	unwind_regs_set_pc(&regs, (uint64_t)(uintptr_t)frames_popped_ret);
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.result.n, 2);
	assert_int_equal(f.pcs[1], (uint64_t)(uintptr_t)frames_deref_ra - 1);
	assert_int_equal(f.result.stop, CP_STOP_END);
	/* without rbp no step is made up */
	unwind_regs_set_fp(&regs, 0x500);
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.result.n, 2);
	assert_int_equal(f.result.stop, CP_STOP_SP_BACKWARDS);
}

static void test_unwinder__nothing_copied(void **state)
{
	(void)state;
	walk_made_up(NULL, 0, true);
	assert_int_equal(f.result.n, 1);
	assert_int_equal(f.result.stop, CP_STOP_TRUNCATED);
	/* an exiting task has its registers, but no memory any more */
	walk_made_up(NULL, 0, false);
	assert_int_equal(f.result.stop, CP_STOP_TRUNCATED);
}

static void test_unwinder__a_pc_that_is_no_code(void **state)
{
	(void)state;
	static const uint64_t words[4];
	const struct unwind_stack stack = {0x10000, (const uint8_t *)words, sizeof(words), true};
	struct unwind_regs regs = {{0}};
	unwind_regs_set_sp(&regs, 0x10000);
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.result.n, 1);
	assert_int_equal(f.pcs[0], 0);
	assert_int_equal(f.result.stop, CP_STOP_BAD_RA);
	unwind_regs_set_pc(&regs, 0x123456789000);
	unwinder_walk(f.unwinder, &regs, &stack, &f.result);
	assert_int_equal(f.pcs[0], 0x123456789000);
	assert_int_equal(f.result.stop, CP_STOP_NO_MAP);
}

static void handle_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	stack_capture_take(&f.capture);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* over the ud2 */
}

static void trap(int flags)
{
	struct sigaction old,
		action = {.sa_sigaction = handle_trap, .sa_flags = SA_SIGINFO | flags};
	assert_int_equal(sigaction(SIGILL, &action, &old), 0);
	frames_record(__builtin_return_address(0));
	frames_trap();
	sigaction(SIGILL, &old, NULL);
}

/* Where the kernel lets a handler return to: mov $15,%rax; syscall. It is no instruction behind a
 * call, and what lies before it is another function. */
static void assert_is_restorer(uint64_t pc)
{
	static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	assert_memory_equal((const void *)(uintptr_t)pc, code, sizeof(code));
}

/* capture, handler, __restore_rt, and then the interrupted instruction itself, not one before it */
static void assert_interrupted(void)
{
	assert_true(f.result.n >= 4);
	assert_is_restorer(f.pcs[2]);
	assert_int_equal(f.pcs[3], (uint64_t)(uintptr_t)frames_trap_pc);
}

static void test_unwinder__through_a_signal_frame(void **state)
{
	(void)state;
	trap(0);
	walk();
	assert_interrupted();
	/* trap(), then its caller as recorded */
	assert_int_equal(f.pcs[5], f.expected[0]);
	assert_int_equal(f.result.stop, CP_STOP_END);
	assert_int_equal(f.result.n_fp_frames, 0);
}

static void test_unwinder__alternate_signal_stack_alone_is_truncated(void **state)
{
	(void)state;
	const size_t size = 1 << 20;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	/* its upper half, so that the copy ends within the mapping, and before the main stack */
	const stack_t alternate = {.ss_sp = memory, .ss_size = size / 2};
	stack_t old;
	assert_int_equal(sigaltstack(&alternate, &old), 0);
	trap(SA_ONSTACK);
	walk();
	assert_interrupted();
	assert_int_equal(f.result.n, 4);
	assert_int_equal(f.result.stop, CP_STOP_TRUNCATED);
	sigaltstack(&old, NULL);
	munmap(memory, size);
}

static void *thread_main(void *arg)
{
	chain_O2(4, take);
	return arg;
}

static void test_unwinder__a_thread_ends_at_its_root(void **state)
{
	(void)state;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, thread_main, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	walk();
	assert_frames(0);
	assert_int_equal(f.result.stop, CP_STOP_END);
}

static ucontext_t coroutine, back;

static void coroutine_main(void)
{
	chain_O2(4, take);
	swapcontext(&coroutine, &back);
}

static void test_unwinder__a_coroutine_on_a_stack_of_its_own(void **state)
{
	(void)state;
	static char stack[1 << 16];
	getcontext(&coroutine);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = sizeof(stack);
	coroutine.uc_link = &back;
	makecontext(&coroutine, coroutine_main, 0);
	swapcontext(&back, &coroutine);
	walk();
	assert_frames(0);
	/* glibc's __start_context is returned to at its very first byte: known by its code */
	assert_int_equal(f.result.stop, CP_STOP_END);
	assert_int_equal(f.result.n, 2 + f.n_expected + 1);
	assert_int_equal(f.result.n_fp_frames, 0);
}

/* What was cached for a binary must not be used for what takes its place. */
static void test_unwinder__mappings_that_change(void **state)
{
	(void)state;
	chain_O2(3, take);
	walk();
	assert_int_equal(f.result.stop, CP_STOP_END);
	struct mapping *m = address_space_find(f.space, (uint64_t)(uintptr_t)take);
	const struct mapping_file anonymous = {.path = "//anon"};
	assert_int_equal(address_space_add(f.space, m->avma_start, m->avma_end, 0, &anonymous), 0);
	walk();
	assert_int_equal(f.result.stop, CP_STOP_NO_CFI);
	address_space_clear(f.space);
	walk();
	assert_int_equal(f.result.n, 1);
	assert_int_equal(f.result.stop, CP_STOP_NO_MAP);
	/* the same mappings again, without any sign but their presence */
	assert_int_equal(address_space_read_proc(f.space, NULL), 0);
	walk();
	assert_frames(0);
	assert_int_equal(f.result.stop, CP_STOP_END);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_unwinder__##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chains_of_every_kind_of_frame),
		TEST(three_hundred_levels),
		TEST(too_many_frames_keep_the_leaf_side_and_the_root_side),
		TEST(the_callers_array_limits_the_frames),
		TEST(a_copy_cut_anywhere_gives_right_frames),
		TEST(frames_described_in_assembly),
		TEST(without_information_by_frame_pointer),
		TEST(without_information_and_frame_pointer_it_ends),
		TEST(frame_pointer_beyond_the_copy),
		TEST(wrong_information_is_named),
		TEST(return_addresses_that_are_none),
		TEST(a_lost_frame_pointer_is_no_end),
		TEST(registers_that_an_epilogue_has_restored),
		TEST(nothing_copied),
		TEST(a_pc_that_is_no_code),
		TEST(through_a_signal_frame),
		TEST(alternate_signal_stack_alone_is_truncated),
		TEST(a_thread_ends_at_its_root),
		TEST(a_coroutine_on_a_stack_of_its_own),
		TEST(mappings_that_change),
	};
	engine = UNWIND_AUTO;
	const int n_failed = cmocka_run_group_tests_name("rows", tests, NULL, NULL);
	engine = UNWIND_LIBUNWIND;
	return n_failed + cmocka_run_group_tests_name("libunwind", tests, NULL, NULL);
}
