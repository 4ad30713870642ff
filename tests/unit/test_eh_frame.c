#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_elf.h"
#include "unwind/remote/eh_frame.h"

static struct elf_image *open_tiny(const struct tiny_elf *elf)
{
	struct elf_image *image = NULL;
	assert_int_equal(elf_image_open_bytes(elf, sizeof(*elf), "tiny", &image, NULL), 0);
	return image;
}

static void test_eh_frame__finds_the_function_of_an_address(void **state)
{
	(void)state;
	const struct tiny_elf elf = tiny_elf_make();
	struct elf_image *image = open_tiny(&elf);
	struct eh_frame_entry entry;
	struct eh_frame_fde fde;
	assert_false(eh_frame_search(image, TINY_CODE_SVMA - 1, &entry));
	assert_false(eh_frame_search(image, 0, &entry));
	for (unsigned i = 0; i < TINY_CODE_BYTES; i++) {
		const unsigned function = i / TINY_FUNCTION_BYTES;
		assert_true(eh_frame_search(image, TINY_CODE_SVMA + i, &entry));
		assert_int_equal(entry.hdr_svma, TINY_OFF(hdr));
		assert_int_equal(entry.svma, TINY_OFF(hdr.entries) + function * 8);
		assert_int_equal(entry.fde_svma, TINY_FDE_OFF(function));
		assert_true(eh_frame_parse(image, entry.fde_svma, &fde));
		assert_int_equal(fde.svma_start, TINY_CODE_SVMA + function * TINY_FUNCTION_BYTES);
		assert_int_equal(fde.svma_end, fde.svma_start + TINY_FUNCTION_BYTES);
		assert_false(fde.signal_frame);
	}
	/* behind the last function the search still names it; its range says no */
	assert_true(eh_frame_search(image, TINY_CODE_SVMA + 1000, &entry));
	assert_int_equal(entry.fde_svma, TINY_FDE_OFF(1));
	elf_image_destroy(image);
}

/* Does the first function's FDE still parse? */
static bool parses(const struct tiny_elf *elf, bool *signal_frame)
{
	struct elf_image *image = open_tiny(elf);
	struct eh_frame_fde fde = {0};
	const bool ok = eh_frame_parse(image, TINY_FDE_OFF(0), &fde);
	*signal_frame = fde.signal_frame;
	elf_image_destroy(image);
	return ok;
}

static void test_eh_frame__augmentations(void **state)
{
	(void)state;
	struct tiny_elf elf = tiny_elf_make();
	bool signal_frame;
	memcpy(elf.cie.augmentation, "zS", 3);
	assert_false(parses(&elf, &signal_frame)); /* a byte of data that no letter explains */
	elf = tiny_elf_make();
	memcpy(elf.cie.augmentation, "zQ", 3);
	assert_false(parses(&elf, &signal_frame));
	memcpy(elf.cie.augmentation, "Rz", 3);
	assert_false(parses(&elf, &signal_frame));
	/* zRS: one letter more, one instruction less */
	static const uint8_t with_signal[] = {0,    0,  0, 0,    1,    'z', 'R', 'S',  0, 1,
					      0x78, 16, 1, 0x1b, 0x0c, 7,   8,   0x90, 1, 0};
	elf = tiny_elf_make();
	memcpy(&elf.cie.id, with_signal, sizeof(with_signal));
	assert_true(parses(&elf, &signal_frame));
	assert_true(signal_frame);
}

static void test_eh_frame__records_that_are_refused(void **state)
{
	(void)state;
	bool signal_frame;
	struct tiny_elf elf = tiny_elf_make();
	elf.cie.version = 4;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.cie.ra_column = 17; /* libunwind indexes with it */
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.cie.id = 1;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.cie.instructions[1] = 17;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.cie.pointer_enc = 0x9b; /* indirect */
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	memset(elf.cie.augmentation, 'z', sizeof(elf.cie.augmentation)); /* no end */
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.cie.augmentation_bytes = 200;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.fdes[0].to_cie = 0; /* a CIE */
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.fdes[0].to_cie = 0xffffffff;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.fdes[0].length = 0;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.fdes[0].augmentation_bytes = 0x7f;
	assert_false(parses(&elf, &signal_frame));
	elf = tiny_elf_make();
	elf.fdes[0].instructions[0] = 0x3f;
	assert_false(parses(&elf, &signal_frame));
}

static void test_eh_frame__any_flipped_bit_is_survived(void **state)
{
	(void)state;
	const struct tiny_elf good = tiny_elf_make();
	const size_t from = TINY_OFF(hdr), to = TINY_OFF(code);
	for (size_t bit = from * 8; bit < to * 8; bit++) {
		struct tiny_elf elf = good;
		((uint8_t *)&elf)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		struct elf_image *image = open_tiny(&elf);
		for (uint64_t svma = TINY_CODE_SVMA; svma < TINY_CODE_SVMA + TINY_CODE_BYTES;
		     svma++) {
			struct eh_frame_entry entry;
			struct eh_frame_fde fde;
			if (eh_frame_search(image, svma, &entry) &&
			    eh_frame_parse(image, entry.fde_svma, &fde)) {
				assert_true(fde.svma_start <= fde.svma_end);
			}
		}
		elf_image_destroy(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eh_frame__finds_the_function_of_an_address),
		cmocka_unit_test(test_eh_frame__augmentations),
		cmocka_unit_test(test_eh_frame__records_that_are_refused),
		cmocka_unit_test(test_eh_frame__any_flipped_bit_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
