#include "symbolizer/answer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const struct symbol_frame inlined[] = {
	{.name = "f()", .system_name = "_Z1fv", .file = "/src/f.h", .line = 3, .start_line = 2},
	{.name = "main", .system_name = "main", .file = "/src/main.c", .line = 30, .start_line = 9},
};

static void fill(struct answer_table *table, uint64_t start, size_t n)
{
	assert_int_equal(answer_table_init(table), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(answer_table_add(table, start + 16 * (n - i), inlined, i % 3), 0);
}

static int memory_file(void)
{
	int fd = memfd_create("answers", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Write some answers; @n of them from @start, in descending order. Return: the file. */
static int written(uint64_t start, size_t n)
{
	struct answer_table table;
	const struct answer_table *tables[] = {&table};
	const struct answer_input inputs[] = {{.device = 1, .inode = 2, .size = 3, .ctime_ns = 4}};
	const char *paths[] = {"/bin/true"};
	int fd = memory_file();
	fill(&table, start, n);
	assert_int_equal(answer_file_write(fd, "key", inputs, paths, 1, tables, 1, 1 << 20), 0);
	answer_table_deinit(&table);
	return fd;
}

static void expect_answer(const struct answer_table *table, uint64_t svma, size_t n)
{
	const struct answer *answer = answer_table_find(table, svma);
	assert_non_null(answer);
	assert_int_equal(answer->n_frames, n);
	for (size_t i = 0; i < n; i++) {
		struct symbol_frame frame = answer_table_frame(table, answer, i);
		assert_string_equal(frame.name, inlined[i].name);
		assert_string_equal(frame.system_name, inlined[i].system_name);
		assert_string_equal(frame.file, inlined[i].file);
		assert_int_equal(frame.line, inlined[i].line);
		assert_int_equal(frame.start_line, inlined[i].start_line);
	}
}

static void test_answer_file__what_was_written_is_read(void **state)
{
	(void)state;
	int fd = written(0x1000, 100);
	struct answer_file file;
	assert_int_equal(answer_file_open(fd, &file), 0);
	assert_string_equal(file.key, "key");
	assert_int_equal(file.n_inputs, 1);
	assert_int_equal(file.inputs[0].inode, 2);
	assert_string_equal(file.table.text + file.inputs[0].path, "/bin/true");
	assert_int_equal(file.table.n, 100);
	for (size_t i = 0; i < 100; i++)
		expect_answer(&file.table, 0x1000 + 16 * (100 - i), i % 3);
	assert_null(answer_table_find(&file.table, 0x1000));
	assert_null(answer_table_find(&file.table, 0x1011));
	assert_null(answer_table_find(&file.table, UINT64_MAX));
	answer_file_close(&file);
	close(fd);
}

static void test_answer_file__union_of_tables_the_first_counts(void **state)
{
	(void)state;
	struct answer_table fresh;
	struct answer_file old, both;
	int old_fd = written(0x1000, 3), fd = memory_file(); /* 0x1030, 0x1020, 0x1010 */
	assert_int_equal(answer_file_open(old_fd, &old), 0);
	assert_int_equal(answer_table_init(&fresh), 0);
	assert_int_equal(answer_table_add(&fresh, 0x1010, NULL, 0), 0);
	assert_int_equal(answer_table_add(&fresh, 0x5000, inlined, 2), 0);
	const struct answer_table *tables[] = {&fresh, &old.table};
	assert_int_equal(answer_file_write(fd, "", NULL, NULL, 0, tables, 2, 1 << 20), 0);
	assert_int_equal(answer_file_open(fd, &both), 0);
	assert_int_equal(both.table.n, 4);
	expect_answer(&both.table, 0x1010, 0);
	expect_answer(&both.table, 0x1020, 1);
	expect_answer(&both.table, 0x1030, 0);
	expect_answer(&both.table, 0x5000, 2);
	answer_file_close(&both);
	answer_file_close(&old);
	answer_table_deinit(&fresh);
	close(fd);
	close(old_fd);
}

static void test_answer_file__too_large_is_not_written(void **state)
{
	(void)state;
	struct answer_table table;
	const struct answer_table *tables[] = {&table};
	int fd = memory_file();
	fill(&table, 0, 1000);
	assert_int_equal(answer_file_write(fd, "", NULL, NULL, 0, tables, 1, 1000), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	answer_table_deinit(&table);
	close(fd);
}

static void test_answer_file__more_frames_than_any_look_up_gives_are_damage(void **state)
{
	(void)state;
	struct answer_file file;
	struct answer_table table;
	const struct answer_table *tables[] = {&table};
	const struct answer_input input = {.device = 1};
	const char *path = "/bin/true";
	struct symbol_frame frames[ANSWER_MAX_FRAMES + 1];
	for (size_t i = 0; i < ANSWER_MAX_FRAMES + 1; i++)
		frames[i] = inlined[0];
	for (size_t n = ANSWER_MAX_FRAMES; n <= ANSWER_MAX_FRAMES + 1; n++) {
		int fd = memory_file();
		assert_int_equal(answer_table_init(&table), 0);
		assert_int_equal(answer_table_add(&table, 0x10, frames, n), 0);
		assert_int_equal(answer_file_write(fd, "key", &input, &path, 1, tables, 1, 1 << 20),
				 0);
		answer_table_deinit(&table);
		assert_int_equal(answer_file_open(fd, &file), n > ANSWER_MAX_FRAMES ? -EBADMSG : 0);
		answer_file_close(&file);
		close(fd);
	}
}

static void test_answer_file__every_flipped_bit_is_noticed(void **state)
{
	(void)state;
	int fd = written(0x1000, 5);
	off_t size = lseek(fd, 0, SEEK_END);
	assert_true(size > 200);
	for (off_t at = 0; at < size; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			struct answer_file file;
			uint8_t byte, flipped;
			assert_int_equal(pread(fd, &byte, 1, at), 1);
			flipped = (uint8_t)(byte ^ (1U << bit));
			assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
			assert_int_equal(answer_file_open(fd, &file), -EBADMSG);
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
	}
	struct answer_file file;
	assert_int_equal(answer_file_open(fd, &file), 0);
	answer_file_close(&file);
	close(fd);
}

static void test_answer_file__every_length_but_the_right_one_is_noticed(void **state)
{
	(void)state;
	int fd = written(0x1000, 5);
	off_t size = lseek(fd, 0, SEEK_END);
	struct answer_file file;
	assert_int_equal(ftruncate(fd, size + 1), 0);
	assert_int_equal(answer_file_open(fd, &file), -EBADMSG);
	while (size-- > 0) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(answer_file_open(fd, &file), -EBADMSG);
	}
	close(fd);
}

static void test_answer_table__an_answer_that_is_there_stays(void **state)
{
	(void)state;
	struct answer_table table;
	assert_int_equal(answer_table_init(&table), 0);
	assert_null(answer_table_find(&table, 7));
	assert_int_equal(answer_table_add(&table, 7, inlined, 2), 0);
	assert_int_equal(answer_table_add(&table, 7, NULL, 0), 0);
	expect_answer(&table, 7, 2);
	assert_int_equal(table.n, 1);
	answer_table_deinit(&table);
	answer_table_deinit(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_file__what_was_written_is_read),
		cmocka_unit_test(test_answer_file__union_of_tables_the_first_counts),
		cmocka_unit_test(test_answer_file__too_large_is_not_written),
		cmocka_unit_test(test_answer_file__more_frames_than_any_look_up_gives_are_damage),
		cmocka_unit_test(test_answer_file__every_flipped_bit_is_noticed),
		cmocka_unit_test(test_answer_file__every_length_but_the_right_one_is_noticed),
		cmocka_unit_test(test_answer_table__an_answer_that_is_there_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
