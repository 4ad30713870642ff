#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/clock.h"
#include "capture/stack_memory.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 600, BYTES = PAGE * PAGES, COPIED = 16384, OVERLAP = 1024 };

/* more than is read at once */
#define ALL UINT64_MAX
/* the end of what is mapped here, and the page behind it */
#define TO_END ((uint64_t)(uintptr_t)mapped + BYTES + PAGE)

static struct stack_memory memory;
static uint8_t *mapped; /* BYTES, and a page behind them that is not mapped */
static uint8_t copy[COPIED];
static struct unwind_stack stack;

static int setup(void **state)
{
	(void)state;
	mapped = mmap(NULL, BYTES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (mapped == MAP_FAILED)
		return -1;
	munmap(mapped + BYTES, PAGE);
	for (size_t i = 0; i < BYTES; i++)
		mapped[i] = (uint8_t)(i * 7 + i / 251);
	memcpy(copy, mapped, COPIED);
	stack = (struct unwind_stack){(uint64_t)(uintptr_t)mapped, copy, COPIED, true};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stack_memory_deinit(&memory);
	munmap(mapped, BYTES);
	return 0;
}

static enum stack_memory_status extend(uint64_t until, struct unwind_stack *whole)
{
	return stack_memory_extend(&memory, getpid(), clock_now_ns(), &stack, OVERLAP, until,
				   whole);
}

static void test_stack_memory__the_copy_goes_on_in_memory(void **state)
{
	(void)state;
	struct unwind_stack whole;
	/* what the overlap does not hold is the sample's, not memory's */
	mapped[COPIED - OVERLAP - 1]++;
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_SAME);
	assert_int_equal(whole.sp, stack.sp);
	assert_int_equal(whole.n_bytes, COPIED + STACK_MEMORY_MAX_BYTES);
	assert_memory_equal(whole.bytes, copy, COPIED);
	assert_memory_equal(whole.bytes + COPIED, mapped + COPIED, STACK_MEMORY_MAX_BYTES);
	assert_true(whole.maybe_more);
	assert_int_equal(extend(stack.sp + COPIED + 100, &whole), STACK_MEMORY_SAME);
	assert_int_equal(whole.n_bytes, COPIED + 100);
}

static void test_stack_memory__any_other_byte_in_the_overlap_refuses(void **state)
{
	(void)state;
	struct unwind_stack whole;
	for (size_t i = COPIED - OVERLAP; i < COPIED; i += 111) {
		mapped[i]++;
		assert_int_equal(extend(ALL, &whole), STACK_MEMORY_CHANGED);
		mapped[i]--;
	}
	mapped[COPIED - 1]++;
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_CHANGED);
	mapped[COPIED - 1]--;
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_SAME);
}

static void test_stack_memory__ends_where_the_mapping_does(void **state)
{
	(void)state;
	struct unwind_stack whole;
	for (size_t n_left = 0; n_left <= 3 * PAGE; n_left += PAGE / 2) {
		stack.sp = (uint64_t)(uintptr_t)mapped + BYTES - COPIED - n_left;
		memcpy(copy, mapped + BYTES - COPIED - n_left, COPIED);
		assert_int_equal(extend(TO_END, &whole), STACK_MEMORY_SAME);
		assert_int_equal(whole.n_bytes, COPIED + n_left);
		assert_memory_equal(whole.bytes + COPIED, mapped + BYTES - n_left, n_left);
		assert_true(memory.has_absent);
	}
}

static bool is_in_memory(const uint8_t *page)
{
	unsigned char resident;
	assert_int_equal(mincore((void *)(uintptr_t)page, PAGE, &resident), 0);
	return resident & 1;
}

static void test_stack_memory__no_page_is_brought_in(void **state)
{
	(void)state;
	enum { USED = 9, FRESH = 100 };
	struct unwind_stack whole;
	uint8_t *fresh = mapped + COPIED + USED * PAGE;
	const uint64_t until = (uint64_t)(uintptr_t)fresh + FRESH * PAGE;
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_SAME);
	assert_false(memory.has_absent);
	assert_int_equal(madvise(fresh, FRESH * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(extend(until, &whole), STACK_MEMORY_SAME);
	assert_int_equal(whole.n_bytes, COPIED + USED * PAGE);
	assert_true(memory.has_absent);
	for (size_t i = 0; i < FRESH; i++)
		assert_false(is_in_memory(fresh + i * PAGE));
	assert_true(is_in_memory(fresh - PAGE));
	/* the same of another stack */
	const struct unwind_stack frame = {stack.sp + 512, copy + 512, 944, false};
	struct unwind_stack other;
	assert_int_equal(
		stack_memory_other(&memory, getpid(), stack.sp + COPIED, until, &frame, &other),
		STACK_MEMORY_SAME);
	assert_int_equal(other.n_bytes, USED * PAGE);
	assert_false(other.maybe_more);
	assert_int_equal(stack_memory_other(&memory, getpid(), (uint64_t)(uintptr_t)fresh, until,
					    &frame, &other),
			 STACK_MEMORY_CHANGED);
	assert_false(is_in_memory(fresh));
}

static void test_stack_memory__a_word_is_read_where_its_page_is_in_memory(void **state)
{
	(void)state;
	uint64_t word = 1, expected;
	const uint64_t start = (uint64_t)(uintptr_t)mapped;
	uint8_t *fresh = mapped + 8 * PAGE;
	assert_int_equal(madvise(fresh, PAGE, MADV_DONTNEED), 0);
	/* inside a page, and across two */
	static const size_t here[] = {0, PAGE - 8, PAGE - 3, 7 * PAGE + 40, BYTES - 8};
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		memcpy(&expected, mapped + here[i], sizeof(expected));
		assert_true(stack_memory_peek(getpid(), start + here[i], &word));
		assert_int_equal(word, expected);
	}
	static const size_t absent[] = {8 * PAGE - 7, 8 * PAGE, 9 * PAGE - 1, BYTES - 7, BYTES};
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		word = 77;
		assert_false(stack_memory_peek(getpid(), start + absent[i], &word));
		assert_int_equal(word, 77);
	}
	assert_false(is_in_memory(fresh));
	assert_false(stack_memory_peek(getpid(), UINT64_MAX - 3, &word));
	assert_false(stack_memory_peek(0x7ffffff0, start, &word));
}

static void test_stack_memory__goes_on_beyond_pages_that_are_not_there(void **state)
{
	(void)state;
	enum { FRESH = 3, BEYOND = 5 };
	struct unwind_stack whole;
	/* the copy ends where the first of them begins, and others lie further out */
	uint8_t *fresh = mapped + COPIED, *lone = fresh + (FRESH + BEYOND) * PAGE;
	const size_t n = (FRESH + BEYOND + 1) * PAGE + 100;
	stack.maybe_more = false;
	assert_int_equal(madvise(fresh, FRESH * PAGE, MADV_DONTNEED), 0);
	assert_int_equal(madvise(lone, PAGE, MADV_DONTNEED), 0);
	assert_int_equal(extend(stack.sp + COPIED + n, &whole), STACK_MEMORY_SAME);
	assert_int_equal(whole.n_bytes, COPIED + n);
	assert_true(memory.has_absent);
	for (size_t i = 0; i < n; i++) {
		const bool is_absent =
			i < FRESH * PAGE || (i >= (FRESH + BEYOND) * PAGE && i < n - 100);
		assert_int_equal(whole.bytes[COPIED + i],
				 is_absent ? STACK_MEMORY_ABSENT
					   : (uint8_t)((COPIED + i) * 7 + (COPIED + i) / 251));
	}
	assert_false(is_in_memory(fresh));
	assert_false(is_in_memory(lone));
	uint64_t word, expected;
	memcpy(&expected, mapped + COPIED + FRESH * PAGE + 16, sizeof(expected));
	assert_true(stack_memory_word(&memory, stack.sp + COPIED + FRESH * PAGE + 16, &word));
	assert_int_equal(word, expected);
	assert_false(stack_memory_word(&memory, stack.sp + COPIED + n - 7, &word));
	/* nothing above: there is no more than the copy */
	assert_int_equal(extend(stack.sp + COPIED + FRESH * PAGE, &whole), STACK_MEMORY_SAME);
	assert_int_equal(whole.n_bytes, COPIED);
}

static void test_stack_memory__no_more_is_read_than_was_asked_for(void **state)
{
	(void)state;
	struct unwind_stack whole;
	const uint64_t before_ns = clock_now_ns();
	const uint64_t until = stack.sp + COPIED + 5000;
	assert_int_equal(extend(until, &whole), STACK_MEMORY_SAME);
	assert_int_equal(memory.avma + memory.n_bytes, until);
	assert_int_equal(whole.sp + whole.n_bytes, until);
	/* a sample that needs less is served by it, one that needs more is not */
	const uint64_t read_ns = memory.read_ns;
	assert_int_equal(stack_memory_extend(&memory, getpid(), before_ns, &stack, OVERLAP,
					     until - 1000, &whole),
			 STACK_MEMORY_SAME);
	assert_int_equal(whole.sp + whole.n_bytes, until - 1000);
	assert_int_equal(memory.read_ns, read_ns);
	assert_int_equal(stack_memory_extend(&memory, getpid(), before_ns, &stack, OVERLAP,
					     until + 1, &whole),
			 STACK_MEMORY_SAME);
	assert_int_equal(whole.sp + whole.n_bytes, until + 1);
	assert_true(memory.read_ns > read_ns);
	assert_int_equal(extend(stack.sp + COPIED, &whole), STACK_MEMORY_CHANGED);
}

static void test_stack_memory__one_read_serves_older_samples(void **state)
{
	(void)state;
	struct unwind_stack whole;
	const uint64_t before_ns = clock_now_ns();
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_SAME);
	const uint64_t read_ns = memory.read_ns;
	/* ends a little further in */
	stack.n_bytes = COPIED - 100;
	assert_int_equal(
		stack_memory_extend(&memory, getpid(), before_ns, &stack, OVERLAP, ALL, &whole),
		STACK_MEMORY_SAME);
	assert_int_equal(memory.read_ns, read_ns);
	assert_memory_equal(whole.bytes, mapped, whole.n_bytes);
	/* a younger one asks again */
	assert_int_equal(extend(ALL, &whole), STACK_MEMORY_SAME);
	assert_true(memory.read_ns > read_ns);
}

static void test_stack_memory__of_an_ended_process_there_is_none(void **state)
{
	(void)state;
	struct unwind_stack whole;
	const pid_t child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(
		stack_memory_extend(&memory, child, clock_now_ns(), &stack, OVERLAP, ALL, &whole),
		STACK_MEMORY_GONE);
}

static void test_stack_memory__what_is_not_permitted_is_said(void **state)
{
	(void)state;
	struct unwind_stack whole;
	/* the first process is root's; nobody may not look into it */
	const pid_t child = fork();
	if (child == 0) {
		if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		_exit(stack_memory_extend(&memory, 1, clock_now_ns(), &stack, OVERLAP, ALL,
					  &whole) == STACK_MEMORY_REFUSED
			      ? 0
			      : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_stack_memory__the_overlap_holds_the_last_frames(void **state)
{
	(void)state;
	uint64_t sps[8], pcs[8] = {0};
	struct unwind_result result = {.pcs = pcs, .sps = sps, .cap = 8, .n = 8};
	for (size_t i = 0; i < 8; i++)
		sps[i] = stack.sp + COPIED - 8 * (8 - i);
	assert_int_equal(stack_memory_overlap(&result, &stack), STACK_MEMORY_OVERLAP_MIN);
	sps[8 - STACK_MEMORY_FRAMES] = stack.sp + COPIED - 9000;
	assert_int_equal(stack_memory_overlap(&result, &stack), 9000);
	sps[8 - STACK_MEMORY_FRAMES] = stack.sp - 5;
	assert_int_equal(stack_memory_overlap(&result, &stack), STACK_MEMORY_OVERLAP_MIN);
	stack.n_bytes = 100;
	assert_int_equal(stack_memory_overlap(&result, &stack), 100);
	struct unwind_stack whole;
	stack.n_bytes = 0;
	assert_int_equal(
		stack_memory_extend(&memory, getpid(), clock_now_ns(), &stack, 0, ALL, &whole),
		STACK_MEMORY_CHANGED);
}

static void test_stack_memory__another_stack_while_the_frame_is_the_same(void **state)
{
	(void)state;
	struct unwind_stack other;
	const uint64_t sp = stack.sp + 100 * PAGE;
	const struct unwind_stack frame = {stack.sp + 512, copy + 512, 944, false};
	assert_int_equal(stack_memory_other(&memory, getpid(), sp, ALL, &frame, &other),
			 STACK_MEMORY_SAME);
	assert_int_equal(other.sp, sp);
	assert_int_equal(other.n_bytes, STACK_MEMORY_MAX_BYTES);
	assert_true(other.maybe_more);
	assert_memory_equal(other.bytes, mapped + 100 * PAGE, STACK_MEMORY_MAX_BYTES);
	for (size_t i = 512; i < 512 + 944; i += 59) {
		mapped[i]++;
		assert_int_equal(stack_memory_other(&memory, getpid(), sp, ALL, &frame, &other),
				 STACK_MEMORY_CHANGED);
		mapped[i]--;
	}
	mapped[511]++;
	mapped[512 + 944]++;
	const uint64_t near_end = stack.sp + BYTES - 1000;
	assert_int_equal(stack_memory_other(&memory, getpid(), near_end, TO_END, &frame, &other),
			 STACK_MEMORY_SAME);
	assert_int_equal(other.n_bytes, 1000);
	assert_false(other.maybe_more);
	assert_int_equal(
		stack_memory_other(&memory, getpid(), stack.sp + BYTES, TO_END, &frame, &other),
		STACK_MEMORY_CHANGED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_stack_memory__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_copy_goes_on_in_memory),
		TEST(any_other_byte_in_the_overlap_refuses),
		TEST(ends_where_the_mapping_does),
		TEST(no_page_is_brought_in),
		TEST(a_word_is_read_where_its_page_is_in_memory),
		TEST(goes_on_beyond_pages_that_are_not_there),
		TEST(no_more_is_read_than_was_asked_for),
		TEST(one_read_serves_older_samples),
		TEST(of_an_ended_process_there_is_none),
		TEST(what_is_not_permitted_is_said),
		TEST(the_overlap_holds_the_last_frames),
		TEST(another_stack_while_the_frame_is_the_same),
	};
	return cmocka_run_group_tests_name("stack_memory", tests, NULL, NULL);
}
