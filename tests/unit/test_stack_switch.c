/* Where Go's runtime changes stacks, told by the code: of a library that is really mapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/stack_switch.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
	struct image_store *store;
	struct address_space *space;
	void *library;
};

static void open_library(struct fixture *f, const char *path)
{
	f->library = dlopen(path, RTLD_NOW);
	assert_non_null(f->library);
	assert_int_equal(image_store_create(&f->store), 0);
	assert_int_equal(address_space_create(f->store, getpid(), &f->space), 0);
	assert_int_equal(address_space_read_proc(f->space, NULL), 0);
}

static void close_library(struct fixture *f)
{
	address_space_destroy(f->space);
	image_store_destroy(f->store);
	dlclose(f->library);
}

/* Of "NAME_ra" what calls look up, of others the interrupted instruction. */
static enum stack_switch at(const struct fixture *f, const char *name, bool is_return_address)
{
	const uint64_t avma = (uintptr_t)dlsym(f->library, name);
	assert_true(avma != 0);
	return stack_switch_at(f->space, unwind_lookup_pc(avma, is_return_address));
}

static const struct {
	const char *name;
	enum stack_switch kind;
} calls[] = {
	{"systemstack_ra", STACK_SWITCH_AWAY}, {"systemstack_120_ra", STACK_SWITCH_AWAY},
	{"mcall_ra", STACK_SWITCH_ROOT},       {"mcall_121_ra", STACK_SWITCH_ROOT},
	{"morestack_ra", STACK_SWITCH_AWAY},   {"asmcgocall_ra", STACK_SWITCH_AWAY},
	{"nanotime_ra", STACK_SWITCH_MAYBE},
};

static void test_stack_switch__calls_on_another_stack_are_known(void **state)
{
	(void)state;
	struct fixture f;
	open_library(&f, SWITCHES_GO);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char plain[64];
		snprintf(plain, sizeof(plain), "plain_%s", calls[i].name);
		print_message("%s\n", calls[i].name);
		assert_int_equal(at(&f, calls[i].name, true), calls[i].kind);
		assert_int_equal(at(&f, plain, true), STACK_SWITCH_NONE);
	}
	assert_int_equal(at(&f, "plain_first_ra", true), STACK_SWITCH_NONE);
	close_library(&f);
}

static void test_stack_switch__an_interrupted_instruction_is_before_or_behind(void **state)
{
	(void)state;
	struct fixture f;
	open_library(&f, SWITCHES_GO);
	assert_int_equal(at(&f, "systemstack_0", false), STACK_SWITCH_NONE);
	assert_int_equal(at(&f, "systemstack_1", false), STACK_SWITCH_AWAY);
	assert_int_equal(at(&f, "systemstack_2", false), STACK_SWITCH_AWAY);
	assert_int_equal(at(&f, "systemstack_3", false), STACK_SWITCH_AWAY);
	assert_int_equal(at(&f, "mcall_0", false), STACK_SWITCH_NONE);
	assert_int_equal(at(&f, "mcall_1", false), STACK_SWITCH_ROOT);
	assert_int_equal(at(&f, "nanotime_0", false), STACK_SWITCH_NONE);
	close_library(&f);
}

static void test_stack_switch__only_what_go_has_linked_is_looked_at(void **state)
{
	(void)state;
	struct fixture f;
	open_library(&f, SWITCHES_C);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		assert_int_equal(at(&f, calls[i].name, true), STACK_SWITCH_NONE);
	close_library(&f);
}

/* Of the vDSO's caller on g0, rbp is close above; on a goroutine's stack it is elsewhere. */
static void test_stack_switch__the_frame_pointer_tells_whether_a_jump_was_taken(void **state)
{
	(void)state;
	const uint64_t sp = UINT64_C(0xc000001000);
	const uint64_t words[] = {1, 2, 3, 4, sp + 100, 0x401000};
	const struct unwind_stack stack = {sp, (const uint8_t *)words, sizeof(words), true};
	struct walk walk = {.stack = &stack, .frame = {.pc = 0x402000, .sp = sp}};
	struct frame next;
	uint64_t fp;
	enum cp_stop stop;
	assert_true(stack_switch_step(&walk, STACK_SWITCH_MAYBE, sp + 32, &next, &fp, &stop));
	assert_int_equal(next.pc, 0x401000);
	assert_int_equal(next.sp, sp + 48);
	assert_int_equal(fp, sp + 100);
	assert_false(walk.stack_swapped);

	assert_false(stack_switch_step(&walk, STACK_SWITCH_MAYBE, sp + 4096, &next, &fp, &stop));
	assert_int_equal(stop, CP_STOP_TRUNCATED);
	assert_true(walk.stack_swapped);
}

static void test_stack_switch__who_has_gone_ends_the_walk(void **state)
{
	(void)state;
	struct walk walk = {.stack = NULL};
	struct frame next;
	uint64_t fp;
	enum cp_stop stop;
	assert_false(stack_switch_step(&walk, STACK_SWITCH_ROOT, 0, &next, &fp, &stop));
	assert_int_equal(stop, CP_STOP_END);
	assert_false(walk.stack_swapped);
	assert_false(stack_switch_step(&walk, STACK_SWITCH_AWAY, 0, &next, &fp, &stop));
	assert_int_equal(stop, CP_STOP_TRUNCATED);
	assert_true(walk.stack_swapped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_switch__calls_on_another_stack_are_known),
		cmocka_unit_test(test_stack_switch__an_interrupted_instruction_is_before_or_behind),
		cmocka_unit_test(test_stack_switch__only_what_go_has_linked_is_looked_at),
		cmocka_unit_test(
			test_stack_switch__the_frame_pointer_tells_whether_a_jump_was_taken),
		cmocka_unit_test(test_stack_switch__who_has_gone_ends_the_walk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
