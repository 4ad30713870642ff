/* What is believed of the caller of code without unwind information. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/mapping_file.h"
#include "elf/elf_image.h"
#include "unwind/image_store.h"
#include "unwind/no_cfi.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t load_avma = UINT64_C(0x7f0000000000);
static const uint64_t stack_avma = UINT64_C(0x7ffd00000000);

/* many.S in a process. */
struct fixture {
	struct image_store *store;
	struct address_space *space;
	uint64_t called, silent; /* avma; see many.S */
};

static int setup(void **state)
{
	static struct fixture f;
	struct stat st;
	size_t n;
	*state = &f;
	assert_int_equal(stat(MANY_FUNCTIONS, &st), 0);
	assert_int_equal(image_store_create(&f.store), 0);
	assert_int_equal(address_space_create(f.store, getpid(), &f.space), 0);
	const struct mapping_file file = mapping_file_of(MANY_FUNCTIONS, &st);
	/* somewhere, to see where its code lies in the file */
	assert_int_equal(address_space_add(f.space, 0x1000, 0x2000, 0, &file), 0);
	const struct elf_image *image = address_space_find(f.space, 0x1000)->image;
	assert_non_null(image);
	const struct elf_segment *segments = elf_image_segments(image, &n);
	while (n > 0 && !segments->exec) {
		segments++;
		n--;
	}
	assert_true(n > 0);
	const uint64_t end = load_avma + (segments->file_size | 4095) + 1;
	assert_int_equal(address_space_add(f.space, load_avma, end, segments->file_off, &file), 0);
	/* as many.S ends: "call; ret", up to 16 bytes, then 32 of "nop" */
	f.silent = load_avma + segments->file_size - 32;
	f.called = f.silent - 16 + 5;
	uint8_t code[2];
	assert_true(address_space_code(f.space, f.called, code, 1) && code[0] == 0xc3);
	assert_true(address_space_code(f.space, f.silent, code, 2) && code[1] == 0x90);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	address_space_destroy(f->space);
	image_store_destroy(f->store);
	return 0;
}

/*
 * The frame pointer leads to where a function was called that has information: that function has
 * made the frame, and the one in between would be left out.
 */
static void test_no_cfi__a_call_of_a_described_function_is_another_frame(void **state)
{
	const struct fixture *f = *state;
	const uint64_t bytes[] = {0, 0, stack_avma + 64, f->called};
	const struct unwind_stack stack = {stack_avma, (const uint8_t *)bytes, sizeof(bytes), true};
	struct walk walk = {
		.space = f->space,
		.stack = &stack,
		.frame = {.pc = f->silent + 1, .sp = stack_avma, .lookup = f->silent},
	};
	struct unwind_regs regs = {.r = {0}};
	struct frame next;
	uint64_t caller_fp;
	enum cp_stop stop;
	unwind_regs_set_fp(&regs, stack_avma + 16);
	assert_false(no_cfi_step(&walk, &regs, true, &next, &caller_fp, &stop));
	assert_int_equal(stop, CP_STOP_NO_CFI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_no_cfi__a_call_of_a_described_function_is_another_frame, setup,
			teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
