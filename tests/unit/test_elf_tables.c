/* Unwind tables found by section headers and program headers, agreeing or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_sections.h"
#include "elf/elf_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int open_bytes(const void *bytes, size_t n, struct elf_image **out)
{
	/* of the exact size, so that reading beyond the end is an error to the sanitizer */
	void *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	const int ret = elf_image_open_bytes(copy, n, "tiny", out, NULL);
	free(copy);
	return ret;
}

static struct elf_image *open_file(const struct tiny_sections *file)
{
	struct elf_image *image = NULL;
	assert_int_equal(open_bytes(file, sizeof(*file), &image), 0);
	return image;
}

/* The size of .eh_frame as it was found; 0 = not. */
static uint64_t eh_frame_size(const struct elf_image *image, bool *is_section)
{
	uint64_t svma = 0, size = 0;
	*is_section = false;
	if (!elf_image_eh_frame(image, &svma, &size, is_section))
		return 0;
	assert_int_equal(svma, TINY_OFF(cie));
	return size;
}

static const uint64_t section_size = TINY_OFF(code) - TINY_OFF(cie);

static void assert_found(const struct tiny_sections *file, uint64_t size, bool by_section,
			 bool searchable)
{
	struct elf_image *image = open_file(file);
	struct elf_eh_frame_hdr hdr;
	bool is_section;
	assert_int_equal(eh_frame_size(image, &is_section), size);
	assert_int_equal(is_section, by_section);
	assert_int_equal(elf_image_eh_frame_hdr(image, &hdr), searchable);
	elf_image_destroy(image);
}

static void test_elf_tables__the_section_is_taken_where_it_agrees(void **state)
{
	(void)state;
	struct tiny_sections file = tiny_sections_make();
	assert_found(&file, section_size, true, true);
	file.elf.eh_segment.p_type = PT_NULL; /* as static non-PIE binaries are */
	assert_found(&file, section_size, true, false);
	file = tiny_sections_make();
	file.elf.hdr.table_enc = 0x00; /* a form that nobody writes */
	assert_found(&file, section_size, true, false);
	file = tiny_sections_make(); /* the search would go astray */
	file.elf.hdr.entries[1].function = file.elf.hdr.entries[0].function - 1;
	assert_found(&file, section_size, true, false);
	file = tiny_sections_make(); /* leaves out the second function */
	file.elf.hdr.count = 1;
	assert_found(&file, section_size, true, true);
}

static void test_elf_tables__a_section_that_contradicts_the_segments_is_not_believed(void **state)
{
	(void)state;
	/* the terminator is no part of what the index leads to */
	const uint64_t by_index = section_size - 4;
	struct tiny_sections file = tiny_sections_make();
	file.eh_frame.sh_addr += 8;
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.eh_frame.sh_offset += 8;
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.eh_frame.sh_size = UINT64_MAX;
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.eh_frame.sh_type = SHT_NOBITS; /* as in a separate debug file */
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.elf.ehdr.e_shstrndx = 77;
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.elf.ehdr.e_shoff = UINT64_MAX - 1;
	assert_found(&file, by_index, false, true);
	file = tiny_sections_make();
	file.shstrtab.sh_size = UINT64_MAX;
	assert_found(&file, by_index, false, true);
}

static bool has_debug_frame(const struct tiny_sections *file)
{
	struct elf_image *image = open_file(file);
	const struct tiny_debug_frame truth = tiny_debug_frame_make();
	uint64_t size;
	const uint8_t *bytes = elf_image_debug_frame(image, &size);
	if (bytes) {
		assert_int_equal(size, sizeof(truth));
		assert_memory_equal(bytes, &truth, sizeof(truth));
	}
	elf_image_destroy(image);
	return bytes != NULL;
}

static void test_elf_tables__debug_frame_in_all_its_forms(void **state)
{
	(void)state;
	struct tiny_sections file = tiny_sections_make();
	assert_true(has_debug_frame(&file));
	tiny_sections_compress(&file, 0);
	assert_true(has_debug_frame(&file));
	file = tiny_sections_make();
	tiny_sections_compress_zstd(&file);
	assert_true(has_debug_frame(&file));
	file = tiny_sections_make();
	tiny_sections_compress_gnu(&file);
	assert_true(has_debug_frame(&file));
	file.frame.sh_type = SHT_NOBITS;
	assert_false(has_debug_frame(&file));
}

static size_t address_space_kb(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	size_t kb = 0;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPeak: %zu kB", &kb) == 1)
			break;
	fclose(file);
	return kb;
}

static void test_elf_tables__claims_beyond_reason_take_no_memory(void **state)
{
	(void)state;
	static const uint64_t claims[] = {
		UINT64_C(100) << 30,
		UINT64_MAX,
		UINT64_MAX - 1,
		sizeof(struct tiny_debug_frame) - 1,
		sizeof(struct tiny_debug_frame) + 1,
		UINT64_C(60) << 20, /* below the limit, but more than these bytes can hold */
		1,
	};
	const size_t before_kb = address_space_kb();
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct tiny_sections file = tiny_sections_make();
		tiny_sections_compress(&file, claims[i]);
		assert_false(has_debug_frame(&file));
	}
	struct tiny_sections file = tiny_sections_make();
	file.frame.sh_size = UINT64_C(100) << 30;
	assert_false(has_debug_frame(&file));
	assert_true(address_space_kb() < before_kb + (8 << 10));
	file = tiny_sections_make();
	tiny_sections_compress(&file, 0);
	const uint32_t unknown = 77;
	memcpy(file.debug_frame, &unknown, sizeof(unknown));
	assert_false(has_debug_frame(&file));
}

static void test_elf_tables__cut_at_every_byte_is_survived(void **state)
{
	(void)state;
	for (int form = 0; form < 3; form++) {
		struct tiny_sections file = tiny_sections_make();
		if (form == 1)
			tiny_sections_compress(&file, 0);
		if (form == 2)
			tiny_sections_compress_gnu(&file);
		const size_t loaded = offsetof(struct tiny_sections, debug_frame);
		for (size_t n = loaded; n < sizeof(file); n++) {
			struct elf_image *image = NULL;
			bool is_section;
			uint64_t size;
			/* it runs: what is cut off are headers at the end, or the last of them */
			assert_int_equal(open_bytes(&file, n, &image), 0);
			assert_int_equal(eh_frame_size(image, &is_section), section_size - 4);
			assert_false(is_section);
			assert_null(elf_image_debug_frame(image, &size));
			elf_image_destroy(image);
		}
	}
}

static void test_elf_tables__any_flipped_bit_is_survived(void **state)
{
	(void)state;
	for (int compressed = 0; compressed < 2; compressed++) {
		struct tiny_sections good = tiny_sections_make();
		if (compressed)
			tiny_sections_compress(&good, 0);
		for (size_t bit = 0; bit < sizeof(good) * 8; bit++) {
			struct tiny_sections file = good;
			((uint8_t *)&file)[bit / 8] ^= (uint8_t)(1U << bit % 8);
			struct elf_image *image = NULL;
			const int ret = open_bytes(&file, sizeof(file), &image);
			assert_true(ret == 0 || ret == -EBADMSG || ret == -ENOEXEC);
			elf_image_destroy(image);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf_tables__the_section_is_taken_where_it_agrees),
		cmocka_unit_test(
			test_elf_tables__a_section_that_contradicts_the_segments_is_not_believed),
		cmocka_unit_test(test_elf_tables__debug_frame_in_all_its_forms),
		cmocka_unit_test(test_elf_tables__claims_beyond_reason_take_no_memory),
		cmocka_unit_test(test_elf_tables__cut_at_every_byte_is_survived),
		cmocka_unit_test(test_elf_tables__any_flipped_bit_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
