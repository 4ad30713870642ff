#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/callee.h"

#include <string.h>
#include <unistd.h>

/* This process, whose code is known. */
struct self {
	struct image_store *store;
	struct address_space *space;
	unsigned n_reads;
};

static int setup(void **state)
{
	static struct self self;
	self = (struct self){0};
	*state = &self;
	return image_store_create(&self.store) < 0 ||
	       address_space_create(self.store, getpid(), &self.space) < 0 ||
	       address_space_read_proc(self.space, NULL) < 0;
}

static int teardown(void **state)
{
	struct self *self = *state;
	address_space_destroy(self->space);
	image_store_destroy(self->store);
	return 0;
}

static bool read_own(void *ctx, uint64_t avma, uint64_t *out)
{
	((struct self *)ctx)->n_reads++;
	memcpy(out, (const void *)(uintptr_t)avma, sizeof(*out));
	return true;
}

static bool read_nothing(void *ctx, uint64_t avma, uint64_t *out)
{
	(void)ctx;
	(void)avma;
	(void)out;
	return false;
}

static volatile int sink;

static __attribute__((noinline, noclone)) uint64_t who_called(void)
{
	sink++;
	return (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
}

static __attribute__((noinline, noclone)) uint64_t another(void)
{
	sink--;
	return (uint64_t)(uintptr_t)__builtin_return_address(0) - 1;
}

static uint64_t (*volatile pointer)(void) = who_called;

/* The address inside of a direct call of a function in another binary, behind @function. */
static __attribute__((noinline, noclone)) int calls_libc(void)
{
	return getppid() + sink;
}

static uint64_t avma_of(uint64_t (*function)(void))
{
	return (uint64_t)(uintptr_t)function;
}

static void test_callee__direct_calls_say_whom_they_call(void **state)
{
	struct self *self = *state;
	const uint64_t inside = avma_of(who_called) + 4, elsewhere = avma_of(another) + 4;
	const uint64_t caller = who_called();
	assert_true(callee_fits(self->space, inside, caller, read_own, self));
	assert_false(callee_fits(self->space, elsewhere, caller, read_own, self));
	assert_false(callee_fits(self->space, inside, another(), read_own, self));
	assert_int_equal(self->n_reads, 0);
}

static void test_callee__what_cannot_be_told_fits(void **state)
{
	struct self *self = *state;
	const uint64_t elsewhere = avma_of(another) + 4;
	/* a call through a pointer; no call; no code at all */
	assert_true(callee_fits(self->space, elsewhere, pointer(), read_own, self));
	assert_true(callee_fits(self->space, elsewhere, avma_of(who_called), read_own, self));
	assert_true(callee_fits(self->space, elsewhere, 0x10, read_own, self));
	assert_true(callee_fits(self->space, 0x10, who_called(), read_own, self));
}

static void test_callee__plt_entries_go_where_their_pointer_says(void **state)
{
	struct self *self = *state;
	uint64_t caller = 0, start, end;
	const uint64_t libc = (uint64_t)(uintptr_t)getppid;
	calls_libc(); /* binds it, if that is done late */
	assert_true(callee_function(self->space, libc + 1, &start, &end));
	assert_int_equal(start, libc);
	assert_in_range(end, libc + 2, libc + 64);
	const uint8_t *code = (const uint8_t *)(uintptr_t)calls_libc;
	for (size_t i = 0; i < 64 && caller == 0; i++) {
		/* a call (e8) whose target is an entry that jumps through a pointer */
		if (code[i] != 0xe8)
			continue;
		const uint64_t at = (uint64_t)(uintptr_t)&code[i + 4];
		self->n_reads = 0;
		if (callee_fits(self->space, libc + 1, at, read_own, self) && self->n_reads == 1)
			caller = at;
	}
	assert_int_not_equal(caller, 0);
	assert_false(callee_fits(self->space, avma_of(another) + 4, caller, read_own, self));
	assert_true(callee_fits(self->space, avma_of(another) + 4, caller, read_nothing, self));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_callee__##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(direct_calls_say_whom_they_call),
		TEST(what_cannot_be_told_fits),
		TEST(plt_entries_go_where_their_pointer_says),
	};
	return cmocka_run_group_tests_name("callee", tests, NULL, NULL);
}
