#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture/exec_call.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As C libraries have it, and other system calls; never executed. */
extern const char after_execve[], after_execveat[], after_other[], after_number_only[];
__asm__(".text\n"
	"mov $59, %eax\n"
	"syscall\n"
	".globl after_execve\n"
	"after_execve:\n"
	"mov $322, %eax\n"
	"syscall\n"
	".globl after_execveat\n"
	"after_execveat:\n"
	"mov $57, %eax\n"
	"syscall\n"
	".globl after_other\n"
	"after_other:\n"
	"mov $59, %eax\n"
	"nop\n"
	"nop\n"
	".globl after_number_only\n"
	"after_number_only:\n");

struct fixture {
	struct image_store *store;
	struct address_space *space;
};

static int setup(void **state)
{
	static struct fixture fixture;
	if (image_store_create(&fixture.store) < 0 ||
	    address_space_create(fixture.store, getpid(), &fixture.space) < 0)
		return -1;
	*state = &fixture;
	return address_space_read_proc(fixture.space, NULL);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	address_space_destroy(fixture->space);
	image_store_destroy(fixture->store);
	return 0;
}

static bool is_at(const struct fixture *fixture, const char *pc)
{
	return exec_call_is_at(fixture->space, (uint64_t)(uintptr_t)pc);
}

static void test_exec_call__is_told_by_the_number_in_front_of_it(void **state)
{
	assert_true(is_at(*state, after_execve));
	assert_true(is_at(*state, after_execveat));
	assert_false(is_at(*state, after_other));
	assert_false(is_at(*state, after_number_only));
	const struct fixture *fixture = *state;
	assert_false(exec_call_is_at(fixture->space, (uint64_t)(uintptr_t)after_execve - 1));
}

static void test_exec_call__is_found_in_the_c_library(void **state)
{
	/* glibc's execve is its system call and little else */
	const char *code = (const char *)(uintptr_t)&execve;
	bool found = false;
	for (int i = 7; i < 32; i++)
		found = found || is_at(*state, code + i);
	assert_true(found);
}

static void test_exec_call__is_nowhere_in_what_has_no_file(void **state)
{
	const struct fixture *fixture = *state;
	assert_false(exec_call_is_at(fixture->space, 0));
	assert_false(exec_call_is_at(fixture->space, 3));
	assert_false(exec_call_is_at(fixture->space, UINT64_MAX));
	char on_stack[16];
	assert_false(is_at(fixture, on_stack));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec_call__is_told_by_the_number_in_front_of_it),
		cmocka_unit_test(test_exec_call__is_found_in_the_c_library),
		cmocka_unit_test(test_exec_call__is_nowhere_in_what_has_no_file),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
