/* Rows of several sources in one table, at once and piece by piece; and the same for libunwind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../support/tiny_sections.h"
#include "unwind/image_rows.h"
#include "unwind/remote/eh_frame.h"
#include "unwind/remote/eh_frame_make.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct elf_image *open_file(const struct tiny_sections *file)
{
	struct elf_image *image = NULL;
	assert_int_equal(elf_image_open_bytes(file, sizeof(*file), "tiny", &image, NULL), 0);
	return image;
}

static void assert_rule(const struct image_rows *rows, uint64_t svma, enum cfi_kind kind,
			int64_t offset)
{
	const cfi_rule rule = cfi_table_find(image_rows_table(rows), svma);
	assert_int_equal(cfi_rule_kind(rule), kind);
	assert_int_equal(cfi_rule_offset(rule), offset);
}

/* What .eh_frame says of the first two functions, see tiny_elf.h; .debug_frame of the third. */
static void assert_all_three(const struct tiny_sections *file)
{
	struct elf_image *image = open_file(file);
	struct image_rows *rows = NULL;
	assert_int_equal(image_rows_create(image, &rows), 0);
	for (uint64_t i = 0; i < 2; i++) {
		const uint64_t start = TINY_CODE_SVMA + i * TINY_FUNCTION_BYTES;
		assert_rule(rows, start, CFI_RSP, 8);
		assert_rule(rows, start + 1, CFI_RSP, 16);
		assert_rule(rows, start + 2, CFI_RBP, 16);
		assert_rule(rows, start + TINY_FUNCTION_BYTES - 1, CFI_RBP, 16);
	}
	assert_rule(rows, TINY_CODE_SVMA - 1, CFI_NONE, 0);
	assert_rule(rows, TINY_THIRD_SVMA, CFI_RSP, 32);
	assert_rule(rows, TINY_THIRD_SVMA + TINY_FUNCTION_BYTES - 1, CFI_RSP, 32);
	assert_rule(rows, TINY_THIRD_SVMA + TINY_FUNCTION_BYTES, CFI_NONE, 0);
	assert_int_equal(cfi_table_covered_bytes(image_rows_table(rows)), 3 * TINY_FUNCTION_BYTES);
	assert_true(image_rows_cover(rows, image));
	image_rows_destroy(rows);
	elf_image_destroy(image);
}

static void test_image_rows__debug_frame_fills_what_eh_frame_leaves_out(void **state)
{
	(void)state;
	struct tiny_sections file = tiny_sections_make();
	assert_all_three(&file);
	tiny_sections_compress(&file, 0);
	assert_all_three(&file);
	file = tiny_sections_make();
	file.elf.eh_segment.p_type = PT_NULL;
	assert_all_three(&file);
	file = tiny_sections_make();
	file.elf.hdr.count = 1; /* an index that leaves out the second function */
	assert_all_three(&file);
	file = tiny_sections_make();
	file.elf.hdr.table_enc = 0;
	assert_all_three(&file);
}

static void test_image_rows__debug_frame_alone(void **state)
{
	(void)state;
	struct tiny_sections file = tiny_sections_make();
	file.elf.eh_segment.p_type = PT_NULL;
	file.eh_frame.sh_type = SHT_NULL;
	struct elf_image *image = open_file(&file);
	struct image_rows *rows = NULL;
	assert_int_equal(image_rows_create(image, &rows), 0);
	assert_rule(rows, TINY_CODE_SVMA, CFI_RSP, 64);
	assert_rule(rows, TINY_CODE_SVMA + TINY_FUNCTION_BYTES, CFI_NONE, 0);
	assert_rule(rows, TINY_THIRD_SVMA, CFI_RSP, 32);
	image_rows_destroy(rows);
	elf_image_destroy(image);
}

static void test_image_rows__more_rows_than_any_binary_has_are_refused(void **state)
{
	(void)state;
	/* all advance by a byte; rbp is saved and not in turn: 16 bytes of rows from 5 */
	static const uint8_t steps[] = {0x41, 0x86, 0x02, 0x41, 0xc6};
	enum { TIMES = 8 << 20 };
	struct tiny_debug_frame frame = tiny_debug_frame_make();
	frame.fdes[1].length += sizeof(steps) * TIMES;
	frame.fdes[1].size = 2 * TIMES + 1;
	const size_t n = sizeof(frame) + sizeof(steps) * TIMES;
	struct tiny_sections file = tiny_sections_make();
	struct elf_image *image = open_file(&file);
	struct image_rows *rows = NULL;
	uint8_t *bytes = calloc(1, n);
	assert_non_null(bytes);
	memcpy(bytes, &frame, sizeof(frame));
	for (size_t i = 0; i < TIMES; i++)
		memcpy(bytes + sizeof(frame) + i * sizeof(steps), steps, sizeof(steps));
	elf_image_set_debug_frame(image, bytes, n);
	assert_int_equal(image_rows_create(image, &rows), -ENOMEM);
	assert_null(rows);
	elf_image_destroy(image);
}

static void test_image_rows__few_described_functions_are_not_covering(void **state)
{
	(void)state;
	struct tiny_sections file = tiny_sections_make();
	file.elf.eh_segment.p_type = PT_NULL;
	file.eh_frame.sh_type = SHT_NULL;
	file.frame.sh_type = SHT_NULL;
	struct elf_image *image = open_file(&file);
	struct image_rows *rows = NULL;
	assert_int_equal(image_rows_create(image, &rows), 0);
	assert_false(image_rows_cover(rows, image));
	image_rows_destroy(rows);
	/* and once it has the .debug_frame of its debug file */
	const struct tiny_debug_frame frame = tiny_debug_frame_make();
	uint8_t *bytes = malloc(sizeof(frame));
	assert_non_null(bytes);
	memcpy(bytes, &frame, sizeof(frame));
	elf_image_set_debug_frame(image, bytes, sizeof(frame));
	assert_int_equal(image_rows_create(image, &rows), 0);
	assert_true(image_rows_cover(rows, image));
	assert_rule(rows, TINY_THIRD_SVMA, CFI_RSP, 32);
	image_rows_destroy(rows);
	elf_image_destroy(image);
}

static void assert_described(const struct elf_image *image, uint64_t start)
{
	struct eh_frame_entry entry;
	struct eh_frame_fde fde;
	assert_true(eh_frame_search(image, start + TINY_FUNCTION_BYTES - 1, &entry));
	assert_true(eh_frame_parse(image, entry.fde_svma, &fde));
	assert_int_equal(fde.svma_start, start);
	assert_int_equal(fde.svma_end, start + TINY_FUNCTION_BYTES);
	assert_false(fde.signal_frame);
}

static void test_image_rows__libunwind_gets_an_index_of_all_functions(void **state)
{
	(void)state;
	/* what is written takes the place of code, of which there must be enough */
	static struct {
		struct tiny_sections file;
		uint8_t code[4096];
	} big;
	for (int pie = 0; pie < 2; pie++) {
		big.file = tiny_sections_make();
		big.file.elf.ehdr.e_type = pie ? ET_DYN : ET_EXEC;
		big.file.elf.eh_segment.p_type = PT_NULL;
		big.file.elf.code_segment.p_filesz += sizeof(big.code);
		big.file.elf.code_segment.p_memsz += sizeof(big.code);
		struct elf_image *image = NULL;
		struct elf_eh_frame_hdr hdr;
		assert_int_equal(elf_image_open_bytes(&big, sizeof(big), "tiny", &image, NULL), 0);
		assert_false(elf_image_eh_frame_hdr(image, &hdr));
		assert_int_equal(eh_frame_make(image), 0);
		assert_true(elf_image_eh_frame_hdr(image, &hdr));
		assert_int_equal(hdr.n_entries, 3);
		for (uint64_t i = 0; i < 3; i++)
			assert_described(image, TINY_CODE_SVMA + i * TINY_FUNCTION_BYTES);
		assert_int_equal(eh_frame_make(image), -ENOENT); /* no sections any more */
		elf_image_destroy(image);
	}
	struct tiny_sections file = tiny_sections_make();
	file.elf.eh_segment.p_type = PT_NULL;
	struct elf_image *image = open_file(&file);
	assert_int_equal(eh_frame_make(image), -ENOSPC);
	elf_image_destroy(image);
}

static struct elf_image *open_path(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_image *image = NULL;
	assert_true(fd >= 0);
	assert_int_equal(elf_image_open_fd(fd, path, &image, NULL), 0);
	close(fd);
	return image;
}

static void test_image_rows__pieces_say_the_same_as_all_at_once(void **state)
{
	(void)state;
	struct elf_image *image = open_path(MANY_FUNCTIONS);
	struct image_rows *all = NULL, *pieces = NULL;
	assert_int_equal(image_rows_create(image, &all), 0);
	assert_int_equal(image_rows_create_piecemeal(image, &pieces), 0);
	assert_false(image_rows_need_tables(all));
	assert_true(image_rows_need_tables(pieces));
	const size_t before = image_rows_size_bytes(pieces);
	const struct cfi_table *table = image_rows_table(all);
	assert_true(table->n >= 5 * 20000 - 1);
	for (size_t at = 0; at < table->n; at++) {
		const size_t i = at * 7919 % table->n; /* prime: all of them, far apart */
		const uint64_t svma = table->base_svma + table->rows[i].pc;
		assert_int_equal(cfi_table_find(image_rows_table(pieces), svma),
				 table->rows[i].rule);
		if (i > 0) {
			assert_int_equal(cfi_table_find(image_rows_table(pieces), svma - 1),
					 table->rows[i - 1].rule);
		}
		/* a gap, too, begins where it does when all is at hand */
		uint64_t start = 0;
		if (table->rows[i].rule == CFI_NONE) {
			assert_true(
				cfi_table_range_start(image_rows_table(pieces), svma + 1, &start));
			assert_int_equal(start, svma);
		}
		if (at == 0) { /* one piece of 256 functions, each of four rules and a gap */
			assert_in_range(image_rows_size_bytes(pieces) - before, 1, 5 * 256 * 8);
		}
	}
	image_rows_destroy(all);
	image_rows_destroy(pieces);
	elf_image_destroy(image);
}

static void test_image_rows__tables_come_back_after_they_were_dropped(void **state)
{
	(void)state;
	struct elf_image *image = open_path(MANY_FUNCTIONS);
	const size_t bytes = elf_image_tables_bytes(image);
	assert_true(bytes > 20000 * 24);
	elf_image_drop_tables(image);
	struct elf_eh_frame_hdr hdr;
	assert_int_equal(elf_image_tables_bytes(image), 0);
	assert_false(elf_image_eh_frame_hdr(image, &hdr));
	const int fd = open(MANY_FUNCTIONS, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_image_read_tables(image, fd, MANY_FUNCTIONS), 0);
	close(fd);
	assert_int_equal(elf_image_tables_bytes(image), bytes);
	assert_true(elf_image_eh_frame_hdr(image, &hdr));
	elf_image_destroy(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_rows__debug_frame_fills_what_eh_frame_leaves_out),
		cmocka_unit_test(test_image_rows__debug_frame_alone),
		cmocka_unit_test(test_image_rows__more_rows_than_any_binary_has_are_refused),
		cmocka_unit_test(test_image_rows__few_described_functions_are_not_covering),
		cmocka_unit_test(test_image_rows__libunwind_gets_an_index_of_all_functions),
		cmocka_unit_test(test_image_rows__pieces_say_the_same_as_all_at_once),
		cmocka_unit_test(test_image_rows__tables_come_back_after_they_were_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
