#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "elf/cfi_reader.h"
#include "elf/eh_frame_hdr.h"

#include <string.h>

#define READER(...)                                                                                \
	cfi_reader_make((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}),    \
			0x1000)

static void test_cfi_reader__fixed_numbers_are_little_endian(void **state)
{
	(void)state;
	struct cfi_reader reader = READER(0x12, 0x34, 0x56, 1, 2, 3, 4, 9, 0, 0, 0, 0, 0, 0, 0x80);
	assert_int_equal(cfi_read_fixed(&reader, 1), 0x12);
	assert_int_equal(cfi_read_fixed(&reader, 2), 0x5634);
	assert_int_equal(cfi_read_fixed(&reader, 4), 0x04030201);
	assert_int_equal(reader.svma, 0x1007);
	assert_true(cfi_read_fixed(&reader, 8) == 0x8000000000000009ULL);
	assert_false(reader.failed);
	assert_int_equal(cfi_reader_left(&reader), 0);
}

static void test_cfi_reader__leb_numbers_of_the_standard(void **state)
{
	(void)state;
	/* DWARF 5, tables 7.8 and 7.9 */
	struct cfi_reader reader = READER(2, 127, 0x80, 1, 0x81, 1, 0x82, 1, 57 + 0x80, 100);
	assert_int_equal(cfi_read_uleb(&reader), 2);
	assert_int_equal(cfi_read_uleb(&reader), 127);
	assert_int_equal(cfi_read_uleb(&reader), 128);
	assert_int_equal(cfi_read_uleb(&reader), 129);
	assert_int_equal(cfi_read_uleb(&reader), 130);
	assert_int_equal(cfi_read_uleb(&reader), 12857);
	assert_false(reader.failed);
	reader = READER(2, 0x7e, 127 + 0x80, 0, 1 + 0x80, 0x7f, 0 + 0x80, 1, 0 + 0x80, 0x7f);
	assert_int_equal(cfi_read_sleb(&reader), 2);
	assert_int_equal(cfi_read_sleb(&reader), -2);
	assert_int_equal(cfi_read_sleb(&reader), 127);
	assert_int_equal(cfi_read_sleb(&reader), -127);
	assert_int_equal(cfi_read_sleb(&reader), 128);
	assert_int_equal(cfi_read_sleb(&reader), -128);
	assert_false(reader.failed);
}

static void test_cfi_reader__widest_leb_and_no_wider(void **state)
{
	(void)state;
	struct cfi_reader reader =
		READER(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x80, 0x80, 0x80,
		       0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01);
	assert_true(cfi_read_uleb(&reader) == UINT64_MAX);
	assert_false(reader.failed);
	assert_int_equal(cfi_read_uleb(&reader), 0);
	assert_true(reader.failed);
}

static void test_cfi_reader__a_failure_stays(void **state)
{
	(void)state;
	struct cfi_reader reader = READER(1, 2, 3);
	assert_int_equal(cfi_read_fixed(&reader, 4), 0);
	assert_true(reader.failed);
	assert_int_equal(cfi_read_fixed(&reader, 1), 0);
	assert_null(cfi_read_bytes(&reader, 0));
	reader = READER(0x80);
	cfi_read_uleb(&reader);
	assert_true(reader.failed);
	reader = READER(1);
	assert_null(cfi_read_bytes(&reader, UINT64_MAX));
}

static void test_cfi_reader__pointers(void **state)
{
	(void)state;
	struct cfi_reader reader = READER(0xf0, 0xff, 0xff, 0xff, 0x10, 0, 0, 0, 0xfe, 0xff, 5, 0);
	assert_int_equal(cfi_read_pointer(&reader, EH_PE_PCREL | EH_PE_SDATA4, 0), 0xff0);
	assert_int_equal(cfi_read_pointer(&reader, EH_PE_DATAREL | EH_PE_UDATA4, 0x500), 0x510);
	assert_int_equal(cfi_read_pointer(&reader, EH_PE_PCREL | EH_PE_SDATA2, 0), 0x1006);
	assert_int_equal(cfi_read_pointer(&reader, EH_PE_UDATA2, 0), 5);
	assert_false(reader.failed);
	reader = READER(1, 0, 0, 0);
	cfi_read_pointer(&reader, EH_PE_INDIRECT | EH_PE_PCREL | EH_PE_SDATA4, 0);
	assert_true(reader.failed);
	reader = READER(1, 0, 0, 0);
	cfi_read_pointer(&reader, EH_PE_OMIT, 0);
	assert_true(reader.failed);
	reader = READER(1, 0, 0, 0);
	cfi_read_pointer(&reader, 0x01, 0); /* uleb128, which no linker writes here */
	assert_true(reader.failed);
}

static void test_cfi_reader__index_header_in_each_size(void **state)
{
	(void)state;
	struct eh_frame_hdr_layout layout;
	/* version, pcrel sdata4, udata4, datarel sdata4; .eh_frame 16 behind; one entry */
	static const uint8_t small[] = {1, 0x1b, 3, 0x3b, 16, 0, 0, 0, 1, 0,
					0, 0,    1, 0,    0,  0, 2, 0, 0, 0};
	assert_true(eh_frame_hdr_decode(small, sizeof(small), 0x400, &layout));
	assert_int_equal(layout.eh_frame_svma, 0x414);
	assert_int_equal(layout.table_off, 12);
	assert_int_equal(layout.n_entries, 1);
	uint64_t min, max;
	assert_true(eh_frame_hdr_fde_range(small, 0x400, &layout, &min, &max));
	assert_int_equal(min, 0x402);
	assert_int_equal(max, 0x402);
	/* absolute udata8, udata8 */
	static const uint8_t wide[] = {1, 4, 4, 0x3b, 0, 0x10, 0, 0, 0, 0, 0, 0, 1, 0,
				       0, 0, 0, 0,    0, 0,    9, 0, 0, 0, 8, 0, 0, 0};
	assert_true(eh_frame_hdr_decode(wide, sizeof(wide), 0x400, &layout));
	assert_int_equal(layout.eh_frame_svma, 0x1000);
	assert_int_equal(layout.table_off, 20);
	for (size_t n = 0; n < sizeof(wide); n++)
		assert_false(eh_frame_hdr_decode(wide, n, 0x400, &layout));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cfi_reader__fixed_numbers_are_little_endian),
		cmocka_unit_test(test_cfi_reader__leb_numbers_of_the_standard),
		cmocka_unit_test(test_cfi_reader__widest_leb_and_no_wider),
		cmocka_unit_test(test_cfi_reader__a_failure_stays),
		cmocka_unit_test(test_cfi_reader__pointers),
		cmocka_unit_test(test_cfi_reader__index_header_in_each_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
